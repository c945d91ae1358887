export const init = {
  access_key: "KEY",
  callback_config_id: "CONFIG",
  callback_number: "+493023125100",
  delay: 0,
};
export const get = { access_key: "KEY", id: 10 };
export const url = process.argv[2]!;

/** Make the two init requests, then print the status of a callback on the last line. */
export async function run(
  start: () => Promise<unknown>,
  status: () => Promise<string>,
): Promise<void> {
  for (let i = 0; i < 2; i++) {
    try {
      console.log(JSON.stringify(await start()));
    } catch (error) {
      console.log(String(error));
    }
    await new Promise((resume) => setTimeout(resume, 100)); // until the connection is free again
  }
  try {
    console.log(await status());
  } catch (error) {
    console.log("error:" + (error as Error).name);
  }
}
