import { get, init, run, url } from "./calls";
import { CallbackApi, Configuration } from "./out/index";

const api = new CallbackApi(new Configuration({ basePath: url }));
const initCallbackRequest = {
  accessKey: init.access_key,
  callbackConfigId: init.callback_config_id,
  callbackNumber: init.callback_number,
  delay: 0,
};
const callbackStatusRequest = { accessKey: get.access_key, id: get.id };
void run(
  () => api.initCallback({ initCallbackRequest }),
  async () => (await api.getCallbackStatus({ callbackStatusRequest })).status,
);
