// The form that starts operations.
import { $, el } from "/static/page.js";

const NUMBERS = ["userChatId", "buyAmount", "walletCount"];
const BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
const SUFFIX = "pump";

/** Let the form start operations. `started` is told each job's id. */
export function startForm(getClient, started) {
  const form = $("start");
  const result = $("start-result");
  form.onsubmit = async (submission) => {
    submission.preventDefault();
    const body = Object.fromEntries(new FormData(form));
    for (const name of NUMBERS) body[name] = body[name].trim() === "" ? null : Number(body[name]);
    const button = form.querySelector(".primary");
    button.disabled = true;
    result.textContent = "Starting…";
    try {
      const { jobId } = await getClient().submit(body);
      mark(form, {});
      result.textContent = "Started.";
      started(jobId);
    } catch (error) {
      const fields = error.details?.fields ?? {};
      mark(form, fields);
      const first = [...form.elements].find(({ name }) => name in fields);
      first?.focus();
      const others = Object.entries(fields).filter(([name]) => !form.elements[name]).map(([name, texts]) => `${name}: ${words(texts)}`);
      result.textContent = first ? others.join(" ") || "Nothing was started: see the fields." : error.message;
    } finally {
      button.disabled = false;
    }
  };
  $("random").onclick = () => { form.elements.tokenAddress.value = randomToken(); };
}

/** Show at each field what is wrong with it. */
function mark(form, wrong) {
  for (const field of form.querySelectorAll(".field")) {
    const input = field.querySelector("[name]");
    field.querySelector(".error")?.remove();
    input.removeAttribute("aria-describedby");
    input.setAttribute("aria-invalid", String(input.name in wrong));
    if (!(input.name in wrong)) continue;
    const error = el("p", "error", words(wrong[input.name]));
    error.id = `${input.name}-error`;
    input.setAttribute("aria-describedby", error.id);
    field.append(error);
  }
}

const words = (texts) => [texts].flat(3).map((text) => (typeof text === "string" ? text : JSON.stringify(text))).join(" ");

/** A mint nobody has: 32 bytes in base58, ending in "pump". */
function randomToken() {
  const bytes = crypto.getRandomValues(new Uint8Array(31)); // below 2^248, so that the suffix cannot overflow
  let number = bytes.reduce((sum, byte) => sum * 256n + BigInt(byte), 1n); // a leading one keeps it at 32 bytes
  const size = 58n ** BigInt(SUFFIX.length);
  const suffix = [...SUFFIX].reduce((sum, digit) => sum * 58n + BigInt(BASE58.indexOf(digit)), 0n);
  number = number - (number % size) + suffix;
  let text = "";
  for (; number > 0n; number /= 58n) text = BASE58[Number(number % 58n)] + text;
  return text;
}
