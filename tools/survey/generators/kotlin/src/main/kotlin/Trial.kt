import okhttp3.OkHttpClient
import org.openapitools.client.apis.CallbackApi
import org.openapitools.client.models.CallbackStatusRequest
import org.openapitools.client.models.InitCallbackRequest

fun main(arguments: Array<String>) {
    val api = CallbackApi(arguments[0]) // default
    val api = CallbackApi(arguments[0], OkHttpClient.Builder().addInterceptor(SendOnce()).build()) // careful
    repeat(2) {
        try {
            println(api.initCallback(InitCallbackRequest("KEY", "CONFIG", "+493023125100", 0)))
        } catch (error: Exception) {
            println(error)
        }
    }
    try {
        println(api.getCallbackStatus(CallbackStatusRequest("KEY", 10)).status)
    } catch (error: Exception) {
        println("error:" + error.javaClass.simpleName)
    }
    System.exit(0)
}
