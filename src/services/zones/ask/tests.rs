//! Questions to a primary on the loopback.

use super::*;
use crate::wire::message::{AA, TC};
use crate::wire::name::Name;
use tokio::net::TcpListener;

/// Its answer, which tells a serial, or nothing.
fn answer(asked: &[u8], flags: u16, serial: Option<u32>) -> Vec<u8> {
    let mut message = asked.to_vec();
    let [high, low] = (0x8000 | flags).to_be_bytes();
    (message[2], message[3]) = (high, low);
    if let Some(serial) = serial {
        message[7] = 1;
        message.extend(b"\xc0\x0c\0\x06\0\x01\0\0\0\0\0\x16\0\0");
        [serial, 2, 3, 4, 5].iter().for_each(|field| message.extend(field.to_be_bytes()));
    }
    message
}

/// What comes of a question to a primary that answers so over UDP, and so over TCP.
fn told(udp: (u16, Option<u32>), tcp: (u16, Option<u32>)) -> Result<u32, String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let (stream, datagrams) = loop {
            let stream = TcpListener::bind("127.0.0.1:0").await.unwrap();
            // Somebody else may have the same port for datagrams.
            if let Ok(datagrams) = UdpSocket::bind(stream.local_addr().unwrap()).await {
                break (stream, datagrams);
            }
        };
        let primary = stream.local_addr().unwrap();
        let speaker = tokio::spawn(async move {
            let mut asked = vec![0; 512];
            let (len, from) = datagrams.recv_from(&mut asked).await.unwrap();
            datagrams.send_to(&answer(&asked[..len], udp.0, udp.1), from).await.unwrap();
            let (mut stream, _) = stream.accept().await.unwrap();
            let len = usize::from(stream.read_u16().await.unwrap());
            stream.read_exact(&mut asked[..len]).await.unwrap();
            let answer = answer(&asked[..len], tcp.0, tcp.1);
            stream.write_u16(answer.len() as u16).await.unwrap();
            stream.write_all(&answer).await.unwrap();
        });
        let errand = Errand { origin: Name::parse("z.").unwrap(), primary, key: None, ticket: 1 };
        let answered = ask_soa(&errand, None).await;
        speaker.abort();
        match answered {
            Answered::Serial(serial) => Ok(serial.0),
            Answered::Failed(why) => Err(why),
            Answered::Came(_) | Answered::NoSteps(_) => unreachable!(),
        }
    })
}

#[test]
fn a_truncated_answer_leads_to_the_question_over_a_stream() {
    assert_eq!(told((AA | TC, None), (AA, Some(9))), Ok(9));
    assert_eq!(told((AA, Some(8)), (AA, Some(9))), Ok(8));
    let wrong = |what: &str| Err(format!("asked for the SOA: the primary{what}"));
    assert_eq!(told((TC, None), (AA | TC, None)), wrong("'s answer is truncated"));
    // Of a cache, over either way.
    assert_eq!(told((0, Some(8)), (AA, Some(9))), wrong(" answers without authority"));
    assert_eq!(told((TC, None), (0, Some(9))), wrong(" answers without authority"));
}
