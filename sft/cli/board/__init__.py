"""Leaderboards on the terminal."""

from sft.cli.board.boards import board_text

__all__ = ["board_text"]
