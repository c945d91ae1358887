import org.openapitools.client.*;
import org.openapitools.client.api.CallbackApi;
import org.openapitools.client.model.*;
public class Trial {
  public static void main(String[] arguments) {
    var client = new ApiClient();
    client.updateBaseUri(arguments[0]);
    var api = new CallbackApi(client);
    for (int i = 0; i < 2; i++) {
      try {
        var request = new InitCallbackRequest().accessKey("KEY").callbackConfigId("CONFIG")
            .callbackNumber("+493023125100").delay(0);
        System.out.println(api.initCallback(request).getId());
      } catch (Exception error) {
        System.out.println(error);
      }
    }
    try {
      System.out.println(api.getCallbackStatus(new CallbackStatusRequest().accessKey("KEY").id(10L)).getStatus());
    } catch (Exception error) {
      System.out.println("error:" + error.getClass().getSimpleName());
    }
  }
}
