"""Reads the part of expr-lang that the chart's formulas use, as expr v1.17 (KEDA's) does: numbers are floats, `/` is a float
division, `?:` binds least and to the right. It is no more than that part: anything else is an error."""
import math
import re

TOKEN = re.compile(r"\s*(\d+(?:\.\d+)?|[A-Za-z_]\w*|<=|>=|==|!=|[-+*/<>?:(),])")
FUNCTIONS = {"min": min, "max": max, "ceil": math.ceil, "float": float}
COMPARE = {"<": lambda a, b: a < b, "<=": lambda a, b: a <= b, ">": lambda a, b: a > b, ">=": lambda a, b: a >= b,
           "==": lambda a, b: a == b, "!=": lambda a, b: a != b}
TIMES = {"*": lambda a, b: a * b, "/": lambda a, b: a / b}
PLUS = {"+": lambda a, b: a + b, "-": lambda a, b: a - b}


def tokens_of(text):
    found, at = [], 0
    while text[at:].strip():
        match = TOKEN.match(text, at)
        if not match:
            raise ValueError(f"not understood: {text[at:at + 20]}")
        found.append(match[1])
        at = match.end()
    return found


class Reader:
    def __init__(self, text, values):
        self.tokens, self.values = tokens_of(text), values

    def next(self, *wanted):
        if self.tokens and (not wanted or self.tokens[0] in wanted):
            return self.tokens.pop(0)
        return None

    def need(self, token):
        if not self.next(token):
            raise ValueError(f"{token} is missing before {self.tokens[:3]}")

    def ternary(self):
        condition = self.comparison()
        if not self.next("?"):
            return condition
        yes = self.ternary()
        self.need(":")
        no = self.ternary()
        return yes if condition else no

    def chain(self, operators, operand):
        value = operand()
        while operator := self.next(*operators):
            value = operators[operator](value, operand())
        return value

    def comparison(self):
        return self.chain(COMPARE, lambda: self.chain(PLUS, lambda: self.chain(TIMES, self.primary)))

    def primary(self):
        token = self.next()
        if token == "(":
            value = self.ternary()
            self.need(")")
            return value
        if re.fullmatch(r"\d+(\.\d+)?", token):
            return float(token)
        if self.next("("):
            return self.call(token)
        return self.values[token]

    def call(self, name):
        arguments = [self.ternary()]
        while self.next(","):
            arguments.append(self.ternary())
        self.need(")")
        return FUNCTIONS[name](*arguments)


def evaluate(formula, values):
    """KEDA wraps a formula in float(...) and gives it each trigger's value under its name."""
    reader = Reader(f"float({formula})", values)
    value = reader.ternary()
    if reader.tokens:
        raise ValueError(f"left over: {reader.tokens}")
    return value
