import createClient from "openapi-fetch";
import { get, init, run, url } from "./calls";
import type { paths } from "./out";

const client = createClient<paths>({ baseUrl: url });
void run(
  () => client.POST("/callback/init", { body: init }),
  async () => (await client.POST("/callback/status", { body: get })).data!.status,
);
