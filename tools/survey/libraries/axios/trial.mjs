import axios from "axios";

console.log(`axios ${axios.VERSION}`);
const client = axios.create({
  validateStatus: null,
  maxRedirects: 0, // careful
});
for (let i = 0; i < 2; i++) {
  try {
    console.log((await client.post(process.argv[2], "{}")).status);
    await new Promise((resume) => setTimeout(resume, 100)); // until the connection is free again
  } catch (error) {
    console.log(String(error));
  }
}
