<?php
require 'GuzzleHttp/autoload.php';
spl_autoload_register(function ($class) {
    require 'out/lib/' . str_replace(['OpenAPI\\Client\\', '\\'], ['', '/'], $class) . '.php';
});
use OpenAPI\Client\Model;
$configuration = (new OpenAPI\Client\Configuration())->setHost($argv[1]);
$api = new OpenAPI\Client\Api\CallbackApi(null, $configuration);
for ($i = 0; $i < 2; $i++) {
    $request = new Model\InitCallbackRequest([
        'access_key' => 'KEY',
        'callback_config_id' => 'CONFIG',
        'callback_number' => '+493023125100',
        'delay' => 0,
    ]);
    try {
        echo $api->initCallback($request), "\n";
    } catch (Exception $error) {
        echo get_class($error), "\n";
    }
}
$request = new Model\CallbackStatusRequest(['access_key' => 'KEY', 'id' => 10]);
try {
    echo $api->getCallbackStatus($request)->getStatus(), "\n";
} catch (Exception $error) {
    echo 'error:' . get_class($error), "\n";
}
