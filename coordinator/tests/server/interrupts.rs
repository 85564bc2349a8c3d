//! Ctrl-C of a client: the order is cancelled, no file is left, and there is one message.

use nix::sys::signal::Signal;

use crate::cluster::*;

#[tokio::test(flavor = "multi_thread")]
async fn ctrl_c_cancels_the_order_and_leaves_nothing() {
    let (data, out) = (folder(), folder());
    let server = serve(data.path()).await;
    let (hold, host) = Scripted::new(10, 20).held();
    Node::up(data.path(), server.listen, "a", host).await;
    let file = out.path().join("s.db");
    // Again and again: whoever comes first has the last word.
    for round in 0..8 {
        let signal = [Signal::SIGINT, Signal::SIGTERM][round % 2];
        let target = if round % 3 == 2 { "-" } else { text(&file) };
        let mut client = start(command(server.http, &["snapshot", "--all", "-o", target]));
        let (code, said) = tokio::task::spawn_blocking(move || {
            client.until("frozen");
            client.signal(signal);
            (client.end(), client.said.clone())
        })
        .await
        .unwrap();
        assert_eq!(code, Some(128 + signal as i32), "{said}");
        let after: Vec<&str> = said.lines().skip_while(|line| !line.starts_with("frozen")).skip(1).collect();
        assert_eq!(after.len(), 2, "{said}");
        assert!(after[0].starts_with("order ") && after[0].ends_with(" was cancelled"), "{said}");
        assert_eq!(after[1], format!("stopped by {signal}; no file was written"), "{said}");
        assert_eq!(files_in(out.path()).len(), 0);
    }
    hold.send(false).unwrap();
    // The next one need not wait for them.
    let (code, _, said) = run(server.http, &["snapshot", "--all", "-o", text(&file)]).await;
    assert_eq!(code, 0, "{said}");
    assert_eq!(snapshots(data.path()).len(), 1);
    assert_eq!(metric(server.http, "stillframe_orders_total{outcome=\"failed\"}").await, 8);
    server.stop().await;
}

/// The coordinator does not answer: the second one does not wait for it.
#[tokio::test(flavor = "multi_thread")]
async fn a_second_ctrl_c_ends_at_once() {
    let out = folder();
    // It takes connections, and that is all.
    let deaf = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let file = out.path().join("s.db");
    let arguments = ["snapshot", "--all", "--no-default-sets", "-o", text(&file)];
    let mut client = start(command(deaf.local_addr().unwrap(), &arguments));
    let (code, said) = tokio::task::spawn_blocking(move || {
        client.until("order ");
        client.signal(Signal::SIGINT);
        // Two of a kind at the same time are one.
        std::thread::sleep(std::time::Duration::from_millis(500));
        client.signal(Signal::SIGINT);
        (client.end(), client.said.clone())
    })
    .await
    .unwrap();
    assert_eq!(code, Some(130), "{said}");
    assert_eq!(said.lines().count(), 2, "{said}");
    assert!(said.ends_with("stopped by SIGINT; no file was written\n"), "{said}");
    assert_eq!(files_in(out.path()).len(), 0);
}
