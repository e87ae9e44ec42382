const main = document.querySelector("main");
const events = new EventSource("api/events");
events.addEventListener("status", (event) => {
  if (main) main.textContent = (event as MessageEvent).data;
});
