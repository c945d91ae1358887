use std::time::Duration;

fn main() {
    println!("reqwest 0.13.5");
    let client = reqwest::blocking::Client::builder()
        .redirect(reqwest::redirect::Policy::none()) // careful
        .pool_max_idle_per_host(0) // careful
        .build()
        .unwrap();
    for _ in 0..2 {
        std::thread::sleep(Duration::from_millis(100)); // until the connection is free again
        match client.post(std::env::args().nth(1).unwrap()).body("{}").send() {
            Ok(response) => println!("{} {:?}", response.status(), response.text()),
            Err(error) => println!("{error:?}"),
        }
    }
}
