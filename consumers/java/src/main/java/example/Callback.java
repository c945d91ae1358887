package example;

import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.DeserializationContext;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JsonDeserializer;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.module.SimpleModule;
import example.tenios.ApiClient;
import example.tenios.ApiException;
import example.tenios.CallbackApi;
import example.tenios.CallbackStatus;
import example.tenios.CallbackStatusRequest;
import example.tenios.ErrorResponse;
import example.tenios.InitCallbackRequest;
import java.io.IOException;
import java.net.ConnectException;
import java.net.http.HttpClient;
import java.net.http.HttpConnectTimeoutException;
import java.time.Duration;
import java.util.Set;

/** Has an agent and a customer called and joined by TENIOS, and says how it went. */
public final class Callback {
  enum Outcome {
    CONNECTED(0), AGENT_FAILED(1), CUSTOMER_FAILED(1), REJECTED(2), UNKNOWN(3), LOST_SIGHT(4);

    final int exitCode;

    Outcome(int exitCode) {
      this.exitCode = exitCode;
    }
  }

  /** Carries an outcome that is known before the callback is over. */
  static final class Ended extends Exception {
    final Outcome outcome;

    Ended(Outcome outcome, String reason) {
      super(reason);
      this.outcome = outcome;
    }
  }

  /** Reads a status as the generated code does, and keeps its text: that of a status which is unknown today would be lost. */
  static final class StatusText extends JsonDeserializer<CallbackStatus> {
    String last = "";

    @Override
    public CallbackStatus deserialize(JsonParser parser, DeserializationContext context) throws IOException {
      last = parser.getText();
      return CallbackStatus.fromValue(last);
    }
  }

  private static final Set<Integer> REFUSALS = Set.of(400, 401, 403, 404, 405, 413, 415, 422, 429);

  private final StatusText statusText = new StatusText();
  private final ObjectMapper json =
      ApiClient.createDefaultObjectMapper()
          .disable(DeserializationFeature.ACCEPT_FLOAT_AS_INT)
          .registerModule(new SimpleModule().addDeserializer(CallbackStatus.class, statusText));
  private final CallbackApi api;

  Callback(String baseUrl) {
    // A redirect would carry the access key elsewhere, and repeat a dial. This client repeats a POST by itself in no case.
    var http =
        HttpClient.newBuilder()
            .version(HttpClient.Version.HTTP_1_1)
            .followRedirects(HttpClient.Redirect.NEVER)
            .connectTimeout(Duration.ofSeconds(5));
    api = new CallbackApi(new ApiClient(http, json, baseUrl).setReadTimeout(Duration.ofSeconds(30)));
  }

  public static void main(String[] arguments) throws InterruptedException {
    Outcome outcome;
    try {
      outcome = run(arguments);
    } catch (Ended ended) {
      System.err.println(ended.getMessage());
      outcome = ended.outcome;
    }
    System.out.println(outcome.name().toLowerCase());
    System.exit(outcome.exitCode);
  }

  private static Outcome run(String[] arguments) throws Ended, InterruptedException {
    var delay = argument(arguments, 1);
    if (argument(arguments, 0) == null || (delay != null && !delay.matches("\\d{1,9}"))) {
      throw new Ended(Outcome.REJECTED, "usage: callback NUMBER [DELAY [ANNOUNCEMENT [KEY]]]");
    }
    var accessKey = setting("TENIOS_ACCESS_KEY", "");
    var callback = new Callback(setting("TENIOS_BASE_URL", "https://api.tenios.com"));
    var id =
        callback.dial(
            new InitCallbackRequest()
                .accessKey(accessKey)
                .callbackConfigId(setting("TENIOS_CALLBACK_CONFIG_ID", ""))
                .callbackNumber(argument(arguments, 0))
                .delay(delay == null ? 0 : Integer.parseInt(delay))
                .agentAnnouncement(argument(arguments, 2))
                .dtmfKeyToTriggerCustomerCall(argument(arguments, 3)));
    return callback.follow(new CallbackStatusRequest().accessKey(accessKey).id(id));
  }

  /** Dials, once, and gives the callback's id. */
  private long dial(InitCallbackRequest request) throws Ended {
    try {
      var answer = api.initCallbackWithHttpInfo(request);
      var body = answer.getData();
      if (answer.getStatusCode() == 200 && body != null && body.getId() != null && body.getId() >= 0) {
        return body.getId();
      }
      throw new Ended(Outcome.UNKNOWN, "Telephones may be ringing: no id in the answer, " + answer.getStatusCode());
    } catch (ApiException failure) {
      var cause = failure.getCause();
      if (cause instanceof ConnectException || cause instanceof HttpConnectTimeoutException) {
        throw new Ended(Outcome.REJECTED, "No connection was made, and nothing was sent.");
      }
      if (REFUSALS.contains(failure.getCode())) {
        throw new Ended(Outcome.REJECTED, "TENIOS said no: " + failure.getCode() + " " + reason(failure).getErrorMessage());
      }
      throw new Ended(Outcome.UNKNOWN, "Telephones may be ringing: " + shown(failure));
    }
  }

  /** Asks until the callback is over. A question that fails is no news. */
  private Outcome follow(CallbackStatusRequest request) throws Ended, InterruptedException {
    var pause = (long) (Double.parseDouble(setting("POLL_SECONDS", "2")) * 1000);
    for (String last = ""; ; ) {
      var wait = pause;
      try {
        var answer = api.getCallbackStatusWithHttpInfo(request);
        var status = answer.getData() == null ? null : answer.getData().getStatus();
        if (answer.getStatusCode() == 200 && status != null && !statusText.last.equals(last)) {
          last = statusText.last;
          System.out.println(last);
          switch (status) {
            case CALL_A_FAILED: return Outcome.AGENT_FAILED;
            case CALL_B_FAILED: return Outcome.CUSTOMER_FAILED;
            case DISCONNECTED: return Outcome.CONNECTED;
            case REQUESTED, ACCEPTED, CALLING_A, CALLING_B, CONNECTED: break;
            default: System.err.println("This program does not know the status; it goes on.");
          }
        }
      } catch (ApiException failure) {
        if (failure.getCode() == 401 || failure.getCode() == 403 || "BAD_CREDENTIALS".equals(reason(failure).getErrorCode())) {
          throw new Ended(Outcome.LOST_SIGHT, "The callback goes on, but TENIOS refuses to say how far it is: " + failure.getCode());
        }
        System.err.println("Asking again: " + shown(failure));
        wait = Math.max(pause, retryAfter(failure) * 1000);
      }
      Thread.sleep(wait);
    }
  }

  private ErrorResponse reason(ApiException failure) {
    try {
      return json.readValue(failure.getResponseBody(), ErrorResponse.class);
    } catch (JsonProcessingException | IllegalArgumentException noJson) {
      return new ErrorResponse();
    }
  }

  private static long retryAfter(ApiException failure) {
    var headers = failure.getResponseHeaders();
    var value = headers == null ? "" : headers.firstValue("Retry-After").orElse("");
    return value.matches("\\d{1,6}") ? Long.parseLong(value) : 0;
  }

  private static String shown(ApiException failure) {
    return failure.getCode() > 0 ? "HTTP " + failure.getCode() : String.valueOf(failure.getCause());
  }

  private static String argument(String[] arguments, int index) {
    return index < arguments.length && !arguments[index].isEmpty() ? arguments[index] : null;
  }

  private static String setting(String name, String fallback) {
    var value = System.getenv(name);
    return value == null || value.isEmpty() ? fallback : value;
  }
}
