import { get, init, run, url } from "./calls";
import { createApiClient } from "./out";

const api = createApiClient(url);
void run(
  () => api.post("/callback/init", init),
  async () => (await api.post("/callback/status", get)).status,
);
