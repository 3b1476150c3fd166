/* What runs in the containers of the tests: waits, and ends at SIGTERM, which the first process of a container would
 * not do by itself. `pause stubborn` does not end; `pause check` fails once there is a file /tmp/ill. */
#include <signal.h>
#include <string.h>
#include <unistd.h>

static void end(int signal) {
    (void)signal;
    _exit(0);
}

int main(int count, char **arguments) {
    const char *how = count > 1 ? arguments[1] : "";
    if (strcmp(how, "check") == 0) {
        return access("/tmp/ill", F_OK) == 0;
    }
    signal(SIGTERM, strcmp(how, "stubborn") == 0 ? SIG_IGN : end);
    for (;;) {
        pause();
    }
}
