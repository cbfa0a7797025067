"""Leaderboards on the terminal."""

from sft.terminal.board.boards import board_text

__all__ = ["board_text"]
