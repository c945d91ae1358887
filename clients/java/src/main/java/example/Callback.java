package example;

import static java.util.concurrent.TimeUnit.MILLISECONDS;

import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.JsonToken;
import com.fasterxml.jackson.core.type.TypeReference;
import com.fasterxml.jackson.databind.*;
import com.fasterxml.jackson.databind.cfg.CoercionAction;
import com.fasterxml.jackson.databind.cfg.CoercionInputShape;
import com.fasterxml.jackson.databind.deser.std.StdDeserializer;
import com.fasterxml.jackson.databind.module.SimpleModule;
import com.fasterxml.jackson.databind.type.LogicalType;
import example.tenios.*;
import java.io.IOException;
import java.math.BigDecimal;
import java.net.ConnectException;
import java.net.URI;
import java.net.http.*;
import java.time.Duration;
import java.util.*;
import java.util.concurrent.*;

/** Starts a TENIOS callback, reports each status and prints the outcome. */
public final class Callback {
  private static final Set<Integer> REJECTIONS = Set.of(400, 401, 403, 404, 405, 413, 415, 422, 429);
  private static final String ACCESS_KEY = or(System.getenv("TENIOS_ACCESS_KEY"), "");
  private static final Duration CONNECT_TIMEOUT = Duration.ofSeconds(5);
  private static final ScheduledExecutorService TIMER = Executors.newSingleThreadScheduledExecutor();
  private static final ObjectMapper JSON = new StrictMapper();

  enum Outcome {
    CONNECTED(0), AGENT_FAILED(1), CUSTOMER_FAILED(1), REJECTED(2), UNKNOWN(3), STATUS_UNAVAILABLE(4);

    final int exitCode;
    Outcome(int exitCode) { this.exitCode = exitCode; }
  }

  /** Ends the program early with an outcome. */
  static final class OutcomeException extends Exception {
    final Outcome outcome;
    OutcomeException(Outcome outcome, String reason) { super(reason); this.outcome = outcome; }
  }

  /** The settings in seconds. */
  private record Limits(double poll, double maxPause, double timeout) {}

  /** Starts the callbacks one after another with the same client. Each has up to four arguments. */
  public static void main(String[] arguments) throws InterruptedException {
    var exitCode = 0;
    CallbackApi api = null;
    for (var first = 0; first < Math.max(arguments.length, 1); first += 4) {
      Outcome outcome;
      try {
        var limits = new Limits(seconds("POLL_SECONDS", 2, 0), seconds("MAX_PAUSE_SECONDS", 3600, 0), seconds("TIMEOUT_SECONDS", 30, 0.001));
        if (api == null) api = connect(or(System.getenv("TENIOS_BASE_URL"), "https://api.tenios.com"), limits.timeout);
        outcome = run(api, limits, Arrays.copyOfRange(arguments, first, first + 4));
      } catch (IllegalArgumentException exception) {
        log("Nothing was sent: " + exception.getMessage());
        outcome = Outcome.REJECTED;
      } catch (OutcomeException exception) {
        log(exception.getMessage());
        outcome = exception.outcome;
      } catch (RuntimeException exception) {
        log("Phones may be ringing: " + exception);
        outcome = Outcome.UNKNOWN;
      }
      System.out.println(outcome.name().toLowerCase(Locale.ROOT));
      exitCode = Math.max(exitCode, outcome.exitCode);
    }
    System.exit(exitCode);
  }

  private static Outcome run(CallbackApi api, Limits limits, String[] given) throws OutcomeException, InterruptedException {
    var request = new InitCallbackRequest().accessKey(ACCESS_KEY)
        .callbackConfigId(or(System.getenv("TENIOS_CALLBACK_CONFIG_ID"), "")).callbackNumber(or(given[0], ""));
    try {
      request.delay(Integer.parseInt(or(given[1], "0")))
          .agentAnnouncement(or(given[2], null)).dtmfKeyToTriggerCustomerCall(or(given[3], null));
    } catch (NumberFormatException exception) {
      throw new OutcomeException(Outcome.REJECTED, "Nothing was sent: " + exception.getMessage());
    }
    if (request.getCallbackNumber().isEmpty() || request.getDelay() < 0) {
      throw new OutcomeException(Outcome.REJECTED, "Nothing was sent. Usage: callback NUMBER [DELAY [ANNOUNCEMENT [KEY]]]");
    }
    return poll(api, new CallbackStatusRequest().accessKey(ACCESS_KEY).id(start(api, request)), limits);
  }

  private static double seconds(String variable, double fallback, double least) {
    var text = or(System.getenv(variable), String.valueOf(fallback));
    var value = Double.parseDouble(text);
    if (value >= least && value <= 3600) return value;
    throw new IllegalArgumentException(variable + " must be from " + least + " to 3600, got " + text);
  }

  /** Accepts only exact ids, converts no other type to text, and ignores a byte order mark. */
  private static final class StrictMapper extends ObjectMapper {
    StrictMapper() {
      super(ApiClient.createDefaultObjectMapper());
      for (var shape : List.of(CoercionInputShape.Integer, CoercionInputShape.Float, CoercionInputShape.Boolean)) {
        coercionConfigFor(LogicalType.Textual).setCoercion(shape, CoercionAction.Fail);
      }
      registerModule(new SimpleModule().addDeserializer(Long.class, new StdDeserializer<>(Long.class) {
        @Override public Long deserialize(JsonParser json, DeserializationContext context) throws IOException {
          var text = json.getText();
          // The contract says number. Decimal text is also accepted, but not "010", which may be another kind of id.
          var isId = json.currentToken().isNumeric()
              || json.currentToken() == JsonToken.VALUE_STRING && text.matches("0|[1-9][0-9]{0,18}");
          try {
            if (isId) return new BigDecimal(text).longValueExact();
          } catch (ArithmeticException notWhole) {
            // Refused below.
          }
          return (Long) context.handleUnexpectedToken(Long.class, json);
        }
      }));
    }

    @Override public ObjectMapper copy() { return this; } // It is never changed.

    @Override public <T> T readValue(String json, TypeReference<T> type) throws JsonProcessingException {
      return super.readValue(json.startsWith("\uFEFF") ? json.substring(1) : json, type);
    }
  }

  private static CallbackApi connect(String baseUrl, double timeoutSeconds) {
    var timeout = Duration.ofMillis((long) (timeoutSeconds * 1000));
    // If this property is set to true, a POST may be repeated.
    System.setProperty("jdk.httpclient.enableAllMethodRetry", "false");
    HttpRequest.newBuilder(URI.create(baseUrl)); // Throws for an invalid URL, before anything is sent.
    var http = HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1)
        .followRedirects(HttpClient.Redirect.NEVER)
        .connectTimeout(timeout.compareTo(CONNECT_TIMEOUT) < 0 ? timeout : CONNECT_TIMEOUT);
    return new CallbackApi(new ApiClient(http, JSON, baseUrl).setReadTimeout(timeout)
        // The read timeout does not cover the body.
        .setResponseInterceptor(response -> TIMER.schedule(() -> { response.body().close(); return null; }, timeout.toMillis(), MILLISECONDS)));
  }

  /** Sends one init request and returns the id of the callback. */
  private static long start(CallbackApi api, InitCallbackRequest request) throws OutcomeException {
    try {
      var response = api.initCallbackWithHttpInfo(request);
      // The generated code accepts any 2xx, even with an empty body.
      var id = response.getStatusCode() == 200 && response.getData() != null ? response.getData().getId() : null;
      if (id != null && id >= 0) return id;
      var message = "Phones may be ringing: no valid id in the response, HTTP " + response.getStatusCode();
      throw new OutcomeException(Outcome.UNKNOWN, message);
    } catch (ApiException exception) {
      var cause = exception.getCause();
      if (cause instanceof ConnectException || cause instanceof HttpConnectTimeoutException) {
        throw new OutcomeException(Outcome.REJECTED, "No connection was made, so nothing was sent: " + describe(exception));
      }
      throw REJECTIONS.contains(exception.getCode())
          ? new OutcomeException(Outcome.REJECTED, "TENIOS rejected the callback: " + describe(exception))
          : new OutcomeException(Outcome.UNKNOWN, "Phones may be ringing: " + describe(exception));
    }
  }

  /** Polls until the callback has ended. Failed status requests are repeated. */
  private static Outcome poll(CallbackApi api, CallbackStatusRequest request, Limits limits)
      throws OutcomeException, InterruptedException {
    for (String last = null; ; ) {
      var pause = limits.poll;
      try {
        var response = api.getCallbackStatusWithHttpInfo(request);
        var current = response.getStatusCode() == 200 && response.getData() != null ? response.getData().getStatus() : null;
        if (current != null && !current.isEmpty() && !current.equals(last)) {
          last = current;
          System.out.println(redact(last));
          // TENIOS may add statuses, which are not final.
          var outcome = switch (last) {
            case "CALL_A_FAILED" -> Outcome.AGENT_FAILED;
            case "CALL_B_FAILED" -> Outcome.CUSTOMER_FAILED;
            case "DISCONNECTED" -> Outcome.CONNECTED;
            default -> null;
          };
          if (outcome != null) return outcome;
        }
      } catch (ApiException exception) {
        var status = exception.getCode();
        var errorCode = parseError(exception).map(CallbackError::getErrorCode).orElse("");
        if (status == 401 || status == 403 || status == 400 && errorCode.equals("BAD_CREDENTIALS")) {
          var message = "The callback is still running, but TENIOS refuses to return its status: " + describe(exception);
          throw new OutcomeException(Outcome.STATUS_UNAVAILABLE, message);
        }
        log("Status request failed, retrying: " + describe(exception));
        var header = Optional.ofNullable(exception.getResponseHeaders()).flatMap(headers -> headers.firstValue("Retry-After"));
        var retryAfter = header.filter(text -> text.matches("\\d+")).map(Double::valueOf).orElse(0.0); // A date is ignored.
        pause = Math.max(limits.poll, Math.min(retryAfter, limits.maxPause));
      }
      Thread.sleep((long) (pause * 1000));
    }
  }

  private static Optional<CallbackError> parseError(ApiException exception) {
    try {
      return Optional.ofNullable(JSON.readValue(exception.getResponseBody(), CallbackError.class));
    } catch (JsonProcessingException | IllegalArgumentException notJson) {
      return Optional.empty();
    }
  }

  private static String describe(ApiException exception) {
    // Jackson's message quotes the response, possibly with a part of the access key, which redact() would not find.
    if (exception.getCause() instanceof JsonProcessingException) return "the response is not the expected JSON";
    if (exception.getCode() == 0) return String.valueOf(exception.getCause());
    // Only a code: other text may contain the access key, in any spelling.
    var code = parseError(exception).map(CallbackError::getErrorCode).filter(text -> text.matches("[A-Z_]{1,40}"));
    return "HTTP " + exception.getCode() + " " + code.orElse("");
  }

  private static void log(String text) {
    System.err.println(redact(text));
  }

  /** Hides the access key, which a response or an exception may contain. */
  private static String redact(String text) {
    return ACCESS_KEY.isEmpty() ? text : text.replace(ACCESS_KEY, "***");
  }

  private static String or(String text, String fallback) {
    return text == null || text.isEmpty() ? fallback : text;
  }
}
