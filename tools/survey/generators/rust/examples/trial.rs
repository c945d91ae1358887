use openapi::apis::{callback_api, configuration::Configuration};
use openapi::models::{CallbackStatusRequest, InitCallbackRequest};

#[tokio::main]
async fn main() {
    let mut configuration = Configuration::new();
    configuration.base_path = std::env::args().nth(1).unwrap();
    for _ in 0..2 {
        let request = InitCallbackRequest::new("KEY".into(), "CONFIG".into(), "+493023125100".into(), 0);
        println!("{:?}", callback_api::init_callback(&configuration, request).await);
        std::thread::sleep(std::time::Duration::from_millis(100)); // until the connection can be used again
    }
    match callback_api::get_callback_status(&configuration, CallbackStatusRequest::new("KEY".into(), 10)).await {
        Ok(found) => println!("{}", found.status),
        Err(error) => println!("error:{}", error.to_string().lines().next().unwrap_or_default()),
    }
}
