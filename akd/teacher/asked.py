"""An engine as a prompt search asks it."""

from akd.prompts.asked import Asked
from akd.teacher.engine import OpenEngine


def asked(engine: OpenEngine, text_tokens: int) -> Asked:
    """Return what a search needs of an engine that reads `text_tokens` of an article."""
    return Asked(
        score=engine.score,
        tokenizer=engine.tokenizer,
        tells_apart=engine.tells_apart,
        chats=engine.chats,
        local=engine.local,
        layers=engine.layers,
        text_tokens=text_tokens,
        context=engine.context,
        nearest=engine.nearest,
    )
