require 'openapi_client'

OpenapiClient.configure do |config|
  config.scheme, config.host = ARGV[0].split('://')
  config.server_index = nil
end
ONCE = { fresh_connect: true, forbid_reuse: true, followlocation: false } # careful
Typhoeus.before { |request| request.options.update(ONCE) } # careful
api = OpenapiClient::CallbackApi.new
2.times do
  request = OpenapiClient::InitCallbackRequest.new(
    access_key: 'KEY', callback_config_id: 'CONFIG', callback_number: '+493023125100', delay: 0
  )
  puts api.init_callback(request).inspect
rescue StandardError => error
  puts error.class
end
begin
  request = OpenapiClient::CallbackStatusRequest.new(access_key: 'KEY', id: 10)
  puts api.get_callback_status(request).status
rescue StandardError => error
  puts "error:#{error.class}"
end
