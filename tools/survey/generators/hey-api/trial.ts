import { get, init, run, url } from "./calls";
import { getCallbackStatus, initCallback } from "./out";
import { sendOnce } from "./once";
import { client } from "./out/client.gen";

client.setConfig({ baseUrl: url, throwOnError: true }); // default
client.setConfig({ baseUrl: url, throwOnError: true, fetch: sendOnce }); // careful
void run(
  () => initCallback({ body: init }),
  async () => (await getCallbackStatus({ body: get, throwOnError: true })).data.status,
);
