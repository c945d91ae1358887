import axios from "axios";
import { get, init, run, url } from "./calls";
import { getCallbackStatus, initCallback } from "./out";

axios.defaults.baseURL = url;
void run(
  async () => (await initCallback(init)).data,
  async () => (await getCallbackStatus(get)).data.status,
);
