progenitor::generate_api!("openapi-3.0.json");

#[tokio::main]
async fn main() {
    let url = std::env::args().nth(1).unwrap();
    let client = Client::new(&url); // default
    let once = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).pool_max_idle_per_host(0); // careful
    let client = Client::new_with_client(&url, once.build().unwrap()); // careful
    for _ in 0..2 {
        let request = types::InitCallbackRequest {
            access_key: "KEY".parse().unwrap(),
            callback_config_id: "CONFIG".parse().unwrap(),
            callback_number: "+493023125100".parse().unwrap(),
            delay: 0,
            agent_announcement: None,
            dtmf_key_to_trigger_customer_call: None,
        };
        println!("{:?}", client.init_callback(&request).await);
        std::thread::sleep(std::time::Duration::from_millis(100)); // until the connection can be used again
    }
    let request = types::CallbackStatusRequest { access_key: "KEY".parse().unwrap(), id: 10.try_into().unwrap() };
    match client.get_callback_status(&request).await {
        Ok(found) => println!("{}", *found.status),
        Err(error) => println!("error:{error}"),
    }
}
