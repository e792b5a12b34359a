"""The code blocks of the documentation, and what runs each of them."""

from __future__ import annotations

import re
import textwrap
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = [
    *ROOT.glob("*.md"),
    *ROOT.glob("docs/**/*.md"),
    *ROOT.glob("clients/*/README.md"),
    ROOT / "benchmarks" / "README.md",
]
_BLOCK = re.compile(r"^( *)```(\w+)\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    """A code block. Blocks without a language are diagrams and output; they are no code."""

    page: str  # its path in the repository
    language: str
    code: str

    @property
    def first(self):
        """The first line, which identifies the block in its page."""
        return self.code.splitlines()[0].strip()


def blocks(page):
    """Return the code blocks of a page, in order."""
    text = (ROOT / page).read_text()
    return [Block(page, kind, textwrap.dedent(code)) for _, kind, code in _BLOCK.findall(text)]


def block(page, first):
    """Return the block of a page whose first line begins with this text."""
    (found,) = [each for each in blocks(page) if each.first.startswith(first)]
    return found


COMMANDS = "tests/acceptance/test_documented_commands.py"
BROWSER = "tests/browser/test_documented_pages.py"
TUTORIAL, GUIDE = "tests/browser/test_tutorial.py", "tests/browser/test_guide.py"
OWN_MARKET = "tests/integration/markets/test_own_market.py"
COMPOSE, BACKUP = "tests/acceptance/test_compose.py", "tests/faults/test_backup.py"
SIGNER = "tests/integration/signer/test_signer_process.py"
SOLANA_DEMO = "tests/acceptance/test_solana_demo.py"
SOLANA = "tests/integration/markets/test_solana.py"
LOCAL_CHAIN = "tests/integration/markets/test_local_chain.py"
# The test that runs every block of a page.
PAGES_RUN_BY = {
    "docs/tutorial.md": TUTORIAL,
    "docs/how-to/frontend.md": GUIDE,
    "docs/how-to/migrating.md": GUIDE,
}
# The test that runs a block, by page and beginning of its first line.
RUN_BY = {
    ("README.md", ".venv/bin/cto submit"): COMMANDS,
    ("README.md", "<button"): BROWSER,
    ("README.md", "curl -X POST"): COMMANDS,
    ("clients/js/README.md", "import { connect"): BROWSER,
    ("clients/js/README.md", "<cto-progress"): BROWSER,
    ("clients/js/README.md", "<script setup>"): BROWSER,
    ("clients/js/README.md", '"use client"'): BROWSER,
    ("clients/python/README.md", "from cto_client"): COMMANDS,
    ("clients/python/README.md", "import asyncio"): COMMANDS,
    ("docs/explanation/security.md", "export CTO_JWT_SECRET"): COMMANDS,
    ("docs/explanation/security.md", "TOKEN="): COMMANDS,
    ("docs/how-to/cors.md", "CTO_CORS_ORIGINS"): COMMANDS,
    ("docs/how-to/cors.md", "curl -si"): COMMANDS,
    ("docs/how-to/cors.md", "curl -s -H"): COMMANDS,
    ("docs/how-to/cors.md", '{"success"'): COMMANDS,
    ("docs/how-to/deploying.md", "docker compose run --rm backup"): COMPOSE,
    ("docs/how-to/deploying.md", "docker compose stop"): COMPOSE,
    ("docs/how-to/existing-login.md", "openssl"): COMMANDS,
    ("docs/how-to/existing-login.md", "export CTO_JWT_PUBLIC_KEY"): COMMANDS,
    ("docs/how-to/existing-login.md", "import time"): COMMANDS,
    ("docs/how-to/existing-login.md", "import { connect }"): BROWSER,
    ("docs/how-to/existing-login.md", "cto revoke"): COMMANDS,
    ("docs/how-to/local-chain.md", "cto local-chain"): LOCAL_CHAIN,
    ("docs/how-to/local-chain.md", "curl -s"): LOCAL_CHAIN,
    ("docs/how-to/nextjs.md", "NEXT_PUBLIC_CTO_URL"): BROWSER,
    ("docs/how-to/nextjs.md", '"use client"'): BROWSER,
    ("docs/how-to/nextjs.md", "import { CTO }"): BROWSER,
    ("docs/how-to/nextjs.md", "export async function POST"): BROWSER,
    ("docs/how-to/own-market.md", '"""A market'): OWN_MARKET,
    ("docs/how-to/own-market.md", '"""The contract'): OWN_MARKET,
    ("docs/how-to/own-market.md", "python -m pytest"): OWN_MARKET,
    ("docs/how-to/own-market.md", "[project.entry-points"): OWN_MARKET,
    ("docs/how-to/operating.md", "cto jobs --status needs_review"): COMMANDS,
    ("docs/how-to/operating.md", "cto market ledger --json"): COMMANDS,
    ("docs/how-to/operating.md", "cto resolve JOB --intent"): COMMANDS,
    ("docs/how-to/operating.md", "cto audit"): COMMANDS,
    ("docs/how-to/operating.md", "cto backup"): BACKUP,
    ("docs/how-to/operating.md", "sh deploy/valkey/restore.sh"): BACKUP,
    ("docs/how-to/signer.md", "cto signer"): SIGNER,
    ("docs/how-to/signer.md", "from cto_worker"): SIGNER,
    ("docs/how-to/solana.md", "CTO_MARKET=solana cto demo"): SOLANA_DEMO,
    ("docs/how-to/solana.md", "CTO_MARKET=solana cto market chain"): SOLANA,
    ("docs/reference/cli.md", "cto submit --watch"): COMMANDS,
    ("docs/reference/cli.md", "cto submit --yes"): COMMANDS,
    ("docs/reference/cli.md", "cto market deposit"): COMMANDS,
    ("docs/reference/contract.md", "socket.emit"): BROWSER,
    ("docs/reference/contract.md", "const latest"): BROWSER,
    ("docs/reference/contract.md", "curl -N"): COMMANDS,
    ("docs/reference/contract.md", "const stream"): BROWSER,
    ("docs/reference/contract.md", "const socket"): BROWSER,
    ("docs/reference/contract.md", "import cto_worker"): COMMANDS,
}
# Blocks that no test runs as a whole, and the reason.
_DOCKER = "needs a container engine; tests/acceptance/test_compose.py runs the services"
_KUBERNETES = "needs a cluster; tests/unit/deploy/test_kubernetes.py checks the manifests"
_MEASURES = "measures for minutes on a quiet machine"
_SUITE = "is this test suite, or a part of it"
_REGISTRY = "installs from the package registry; other tests build and install the packages"
NOT_RUN = {
    ("CONTRIBUTING.md", "make demo"): _SUITE,
    ("CONTRIBUTING.md", ".venv/bin/pytest"): _SUITE,
    ("README.md", "make demo"): "installs; tests/acceptance/test_commands.py runs `cto demo` and `cto up`",
    ("benchmarks/README.md", ""): _MEASURES,
    ("docs/how-to/solana.md", ".venv/bin/python -m pip"): _REGISTRY,
    ("clients/js/README.md", "npm"): _REGISTRY,
    ("clients/js/README.md", "mkdir -p vendor"): _REGISTRY,
    ("clients/python/README.md", "pip"): _REGISTRY,
    (
        "docs/explanation/scaling.md",
        "export CTO_REDIS_URL",
    ): "needs three machines; tests/faults has Sentinels",
    ("docs/how-to/console.md", "CTO_PAPER_SILENT_RATE"): "never ends; the browser tests run such a system",
    ("docs/how-to/deploying.md", "make secrets"): _DOCKER,
    ("docs/how-to/deploying.md", "services:"): _DOCKER,
    ("docs/how-to/deploying.md", "PYTHON_IMAGE="): _DOCKER,
    ("docs/how-to/deploying.md", ". ./.env"): _DOCKER,
    ("docs/how-to/deploying.md", "docker compose exec"): _DOCKER,
    ("docs/how-to/deploying.md", "{ printf"): _KUBERNETES,
    ("docs/how-to/deploying.md", "cto secrets"): _KUBERNETES,
    ("docs/how-to/deploying.md", "kubectl"): _KUBERNETES,
    ("docs/how-to/operating.md", "CTO_AUTH=off CTO_LOG_FORMAT"): "never ends; tests/acceptance/test_logs.py",
    ("docs/how-to/operating.md", "CTO_AUTH=off CTO_OTLP"): "needs Jaeger; tests/acceptance/test_traces.py",
    (
        "docs/how-to/own-market.md",
        "CTO_MARKET=",
    ): "never ends; tests/integration/markets/test_own_market.py runs an operation on the market",
    ("docs/how-to/signer.md", "# /etc/systemd"): "needs systemd",
    ("docs/how-to/solana.md", "CTO_AUTH=off CTO_MARKET=solana"): "never ends; `cto demo` runs it",
    ("docs/how-to/solana.md", "CTO_SIGNER_KEY_FILE"): "tests/integration/signer has the command",
    ("docs/reference/cli.md", "cto login"): "needs two gateways; tests/acceptance/test_job_commands.py",
    (
        "docs/how-to/telegram-bot.md",
        "python3 -m venv",
    ): "installs; tests/acceptance/test_aiogram_bot.py runs the bot",
}


def entries(table, each):
    """Return the entries of a table that match a block."""
    return [key for key in table if key[0] == each.page and each.first.startswith(key[1])]


def all_blocks():
    """Return the code blocks of all pages."""
    return [each for page in sorted(PAGES) for each in blocks(page.relative_to(ROOT).as_posix())]


def blocks_run_by(file):
    """Return the blocks that a test file runs, according to the table."""
    name = Path(file).relative_to(ROOT).as_posix()
    return [each for each in all_blocks() if name in {RUN_BY[key] for key in entries(RUN_BY, each)}]
