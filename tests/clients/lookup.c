/* Asks the C library's stub resolver for the addresses of a name, of both families at once, and prints each. */
#include <netdb.h>
#include <stdio.h>
#include <sys/socket.h>

int main(int count, char **words) {
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM}, *found, *at;
    char address[64];
    if (count != 2) return 2;
    int error = getaddrinfo(words[1], NULL, &hints, &found);
    if (error) {
        fprintf(stderr, "%s\n", gai_strerror(error));
        return 1;
    }
    for (at = found; at; at = at->ai_next) {
        error = getnameinfo(at->ai_addr, at->ai_addrlen, address, sizeof address, NULL, 0, NI_NUMERICHOST);
        if (error) return 1;
        puts(address);
    }
    return 0;
}
