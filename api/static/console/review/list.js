// The operations that need review: pages of the REST API, with the filters in the query of the page's address.

/** Operations that are shown at first, and added with each click: each causes two requests. */
export const SHOWN = 20;
const MAX_PAGE = 100; // of the API

/** Load the newest operations, at most `count`, and in addition that of the address, which comes first. */
export async function loadReviews(session, query, count, linkedId) {
  const jobs = [];
  let cursor = null;
  do {
    const page = new URLSearchParams([...query, ["needsReview", "true"], ["limit", Math.min(MAX_PAGE, count - jobs.length)], ...(cursor ? [["cursor", cursor]] : [])]);
    const { jobs: more, nextCursor } = await session.rest.request("GET", `/api/cto/jobs?${page}`);
    jobs.push(...more);
    cursor = nextCursor;
  } while (cursor && jobs.length < count);
  return { jobs: await withLinked(session, jobs, linkedId), hasMore: cursor !== null, count };
}

async function withLinked(session, jobs, jobId) {
  if (!jobId) return jobs;
  const others = jobs.filter((job) => job.jobId !== jobId);
  if (others.length < jobs.length) return [jobs.find((job) => job.jobId === jobId), ...others];
  const status = await session.client.status(jobId).catch(() => null);
  return status?.needsReview ? [{ ...status, createdAt: status.progressEvents[0].timestamp }, ...jobs] : jobs;
}
