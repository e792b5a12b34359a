// The form that starts operations.
import { $, element } from "/static/page.js";

const NUMBERS = ["userChatId", "buyAmount", "walletCount"];
const BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
const SUFFIX = "pump";

/** Connect the form that starts operations. `onStart` is called with each job's id. */
export function startForm(getClient, onStart) {
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
      onStart(jobId);
    } catch (error) {
      const fields = error.details?.fields ?? {};
      mark(form, fields);
      const first = [...form.elements].find(({ name }) => name in fields);
      first?.focus();
      const others = Object.entries(fields).filter(([name]) => !form.elements[name]).map(([name, texts]) => `${name}: ${joined(texts)}`);
      result.textContent = first ? others.join(" ") || "Not started: correct the marked fields." : error.message;
    } finally {
      button.disabled = false;
    }
  };
  $("random").onclick = () => { form.elements.tokenAddress.value = randomToken(); };
}

/** Show each field's errors below it. */
function mark(form, errors) {
  for (const field of form.querySelectorAll(".field")) {
    const input = field.querySelector("[name]");
    field.querySelector(".error")?.remove();
    input.removeAttribute("aria-describedby");
    input.setAttribute("aria-invalid", String(input.name in errors));
    if (!(input.name in errors)) continue;
    const error = element("p", "error", joined(errors[input.name]));
    error.id = `${input.name}-error`;
    input.setAttribute("aria-describedby", error.id);
    field.append(error);
  }
}

const joined = (texts) => [texts].flat(3).map((text) => (typeof text === "string" ? text : JSON.stringify(text))).join(" ");

/** Return a random mint address: 32 bytes in base58 that end in "pump". */
function randomToken() {
  const bytes = crypto.getRandomValues(new Uint8Array(31)); // below 2^248, so the suffix cannot overflow 32 bytes
  let number = bytes.reduce((sum, byte) => sum * 256n + BigInt(byte), 1n); // the leading 1 keeps the length at 32 bytes
  const size = 58n ** BigInt(SUFFIX.length);
  const suffix = [...SUFFIX].reduce((sum, digit) => sum * 58n + BigInt(BASE58.indexOf(digit)), 0n);
  number = number - (number % size) + suffix;
  let text = "";
  for (; number > 0n; number /= 58n) text = BASE58[Number(number % 58n)] + text;
  return text;
}
