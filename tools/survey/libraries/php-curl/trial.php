<?php
echo 'PHP ' . PHP_VERSION . ', libcurl ' . curl_version()['version'] . "\n";
$curl = curl_init($argv[1]);
for ($i = 0; $i < 2; $i++) {
    curl_setopt_array($curl, [
        CURLOPT_POSTFIELDS => '{}',
        CURLOPT_RETURNTRANSFER => true,
        CURLOPT_FRESH_CONNECT => true, CURLOPT_FORBID_REUSE => true, // careful
    ]);
    $body = curl_exec($curl);
    echo $body === false ? curl_error($curl) : curl_getinfo($curl, CURLINFO_RESPONSE_CODE), "\n";
}
