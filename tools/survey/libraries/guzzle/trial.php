<?php
require 'GuzzleHttp/autoload.php';
$version = shell_exec("dpkg-query -W -f '\${Version}' php-guzzlehttp-guzzle");
echo 'Guzzle ' . strtok($version, '-') . "\n";
$client = new GuzzleHttp\Client();
for ($i = 0; $i < 2; $i++) {
    try {
        $response = $client->post($argv[1], [
            'body' => '{}',
            'http_errors' => false,
            'allow_redirects' => false, // careful
            'curl' => [CURLOPT_FRESH_CONNECT => true, CURLOPT_FORBID_REUSE => true], // careful
        ]);
        echo $response->getStatusCode(), "\n";
    } catch (GuzzleHttp\Exception\TransferException $error) {
        echo $error->getMessage(), "\n";
    }
}
