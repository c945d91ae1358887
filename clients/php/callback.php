<?php
// Starts TENIOS callbacks, reports each status and prints the outcome. Needs PHP 8.1 or later with its curl extension.

declare(strict_types=1);

use Example\Tenios;

if (PHP_SAPI !== 'cli') {
    exit; // A web server must not start calls because this file is in its folder.
}

require __DIR__ . '/src/Tenios.php';

const EXIT_CODES = [
    'connected' => 0, 'agent_failed' => 1, 'customer_failed' => 1, 'rejected' => 2, 'unknown' => 3, 'status_unavailable' => 4,
];

function refuse(string $reason): never
{
    fwrite(STDERR, "Nothing was sent: $reason\n");
    echo "rejected\n";
    exit(EXIT_CODES['rejected']);
}

function seconds(string $name, float $default, float $least): float
{
    $text = (string) getenv($name); // "0" is a value, but false in PHP
    $seconds = $text === '' ? $default : filter_var($text, FILTER_VALIDATE_FLOAT);
    return $seconds !== false && $seconds >= $least && $seconds <= 3600
        ? $seconds
        : refuse("$name must be a number from $least to 3600, got $text");
}

$accessKey = getenv('TENIOS_ACCESS_KEY') ?: '';
$configId = getenv('TENIOS_CALLBACK_CONFIG_ID') ?: '';
if (!preg_match('//u', $accessKey . $configId)) {
    refuse('TENIOS_ACCESS_KEY and TENIOS_CALLBACK_CONFIG_ID must be UTF-8');
}
$baseUrl = getenv('TENIOS_BASE_URL') ?: 'https://api.tenios.com';
if (!preg_match('~^https?://[^/]~i', $baseUrl)) {
    refuse("TENIOS_BASE_URL must be an http(s) URL, got $baseUrl");
}
$tenios = new Tenios(
    $accessKey,
    $configId,
    $baseUrl,
    seconds('POLL_SECONDS', 2, 0),
    seconds('MAX_PAUSE_SECONDS', 3600, 0),
    seconds('TIMEOUT_SECONDS', 30, 0.001),
);
// The callbacks are started one after another with the same client. Each has up to four arguments.
$exitCode = 0;
foreach (array_chunk(array_slice($argv, 1), 4) ?: [[]] as $given) {
    [$number, $delay, $announcement, $key] = $given + ['', '', '', ''];
    if ($number === '' || !preg_match('/^[0-9]{0,10}$/D', $delay) || (int) $delay > 2 ** 31 - 1 || !preg_match('//u', implode(' ', $given))) {
        refuse('Usage: callback.php NUMBER [DELAY [ANNOUNCEMENT [KEY]]]');
    }
    $outcome = $tenios->call($number, (int) $delay, $announcement, $key, function (string $status): void {
        echo "$status\n";
    });
    echo "$outcome\n";
    $exitCode = max($exitCode, EXIT_CODES[$outcome]);
}
exit($exitCode);
