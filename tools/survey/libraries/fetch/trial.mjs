console.log(`Node.js ${process.versions.node.split(".")[0]}, undici ${process.versions.undici}`);
for (let i = 0; i < 2; i++) {
  try {
    const response = await fetch(process.argv[2], {
      method: "POST",
      body: "{}", // default
      body: new Blob(["{}"]).stream(), // careful
      duplex: "half", headers: { "Content-Length": "2" }, redirect: "manual", // careful
    });
    console.log(response.status, await response.text());
    await new Promise((resume) => setTimeout(resume, 100)); // until the connection is free again
  } catch (error) {
    console.log(String(error.cause ?? error));
  }
}
