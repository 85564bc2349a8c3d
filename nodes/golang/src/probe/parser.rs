//! Text to [`Expression`].
//!
//! ```text
//! expression = "*" expression | operand { postfix }
//! operand    = name | path "." name | builtin "(" expression ")" | "(" expression ")"
//! postfix    = "." name | "." "(" type ")" | ".(type)" | ".Load()" | ".Deadline()" | ".Value(" type ")"
//!            | "[" constant "]" | "[" [integer] ":" [integer] "]"
//! type       = "*" type | "[]" type | "[" integer "]" type | "map[" type "]" type
//!            | [ (name | path | text) "." ] name [ "[" type { "," type } "]" ]
//! ```

use super::expression::{Builtin, Constant, Expression, Kind, Name, TypeKind, TypeName};
use super::lexer::{Token, Word, words};
use super::limits::{EXPRESSION_DEPTH_MAX, EXPRESSION_PARTS_MAX};
use super::problem::{Problem, Span, nearest};

impl Expression {
    pub fn parse(text: &str) -> Result<Expression, Problem> {
        let words = words(text)?;
        let mut parser = Parser { words: &words, at: 0, parts: 0, depth: 0 };
        if parser.token() == &Token::End {
            return Err(parser.problem("there is nothing to read; name a variable"));
        }
        let expression = parser.expression()?;
        match parser.token() {
            Token::End => Ok(expression),
            _ => Err(parser.unexpected("the end of the expression")),
        }
    }
}

struct Parser<'a> {
    /// The last one is [`Token::End`], and is never passed.
    words: &'a [Word],
    at: usize,
    parts: usize,
    depth: usize,
}

impl Parser<'_> {
    fn token(&self) -> &Token {
        &self.words[self.at].token
    }

    fn span(&self) -> Span {
        self.words[self.at].span
    }

    /// Where the last word ended.
    fn end(&self) -> Span {
        self.words[self.at.saturating_sub(1)].span
    }

    fn is(&self, mark: char) -> bool {
        self.token() == &Token::Mark(mark)
    }

    fn advance(&mut self) {
        self.at = (self.at + 1).min(self.words.len() - 1);
    }

    fn accept(&mut self, mark: char) -> bool {
        let is = self.is(mark);
        if is {
            self.advance();
        }
        is
    }

    fn expect(&mut self, mark: char) -> Result<(), Problem> {
        if self.accept(mark) { Ok(()) } else { Err(self.unexpected(&format!("{mark}"))) }
    }

    fn problem(&self, message: impl Into<String>) -> Problem {
        Problem::new(self.span(), message)
    }

    fn unexpected(&self, wanted: &str) -> Problem {
        let found = match self.token() {
            Token::Word(word) => word.clone(),
            Token::Path(path) => path.clone(),
            Token::Integer(number) => number.to_string(),
            Token::Text(text) => format!("{text:?}"),
            Token::Mark(mark) => mark.to_string(),
            Token::End => "the end".to_owned(),
        };
        self.problem(format!("expected {wanted}, not {found}"))
    }

    /// Counts a part of the expression.
    fn part(&mut self) -> Result<(), Problem> {
        self.parts += 1;
        if self.parts > EXPRESSION_PARTS_MAX {
            return Err(self.problem(format!("an expression has at most {EXPRESSION_PARTS_MAX} parts")));
        }
        Ok(())
    }

    /// Runs `parse` one level deeper.
    fn deeper<T>(&mut self, parse: impl FnOnce(&mut Self) -> Result<T, Problem>) -> Result<T, Problem> {
        if self.depth == EXPRESSION_DEPTH_MAX {
            return Err(self.problem(format!("an expression is at most {EXPRESSION_DEPTH_MAX} levels deep")));
        }
        self.depth += 1;
        let parsed = parse(self);
        self.depth -= 1;
        parsed
    }

    fn expression(&mut self) -> Result<Expression, Problem> {
        self.part()?;
        let start = self.span();
        if self.accept('*') {
            let of = self.deeper(Self::expression)?;
            let span = start.to(self.end());
            return Ok(Expression { kind: Kind::Dereference(Box::new(of)), span });
        }
        let mut expression = self.operand()?;
        loop {
            let kind = if self.accept('.') {
                self.behind_dot(expression)?
            } else if self.accept('[') {
                self.in_brackets(expression)?
            } else if self.is('(') {
                return Err(self.call_of(&expression));
            } else {
                return Ok(expression);
            };
            self.part()?;
            expression = Expression { kind, span: start.to(self.end()) };
        }
    }

    fn operand(&mut self) -> Result<Expression, Problem> {
        let start = self.span();
        let kind = match self.token().clone() {
            Token::Word(word) => {
                self.advance();
                match Builtin::ALL.into_iter().find(|builtin| builtin.name() == word) {
                    Some(builtin) if self.accept('(') => {
                        let of = self.deeper(Self::expression)?;
                        self.expect(')')?;
                        Kind::Call { of: Box::new(of), builtin }
                    }
                    _ => Kind::Name(word),
                }
            }
            Token::Path(package) | Token::Text(package) => {
                self.advance();
                if !self.accept('.') {
                    return Err(self.unexpected(". and a variable of the package"));
                }
                Kind::Global { package: self.package(package, start)?, name: self.name()? }
            }
            Token::Mark('(') => {
                self.advance();
                let inner = self.deeper(Self::expression)?;
                self.expect(')')?;
                // Parentheses leave no trace but in positions.
                return Ok(Expression { kind: inner.kind, span: start.to(self.end()) });
            }
            Token::Integer(_) | Token::Mark(_) | Token::End => return Err(self.unexpected("a variable")),
        };
        Ok(Expression { kind, span: start.to(self.end()) })
    }

    /// An import path that was in quotes may hold anything.
    fn package(&self, package: String, span: Span) -> Result<String, Problem> {
        let is_wrong =
            |c: char| c.is_control() || c.is_whitespace() || matches!(c, '[' | ']' | '"' | '(' | ')' | '*');
        if package.is_empty() || package.contains(is_wrong) {
            return Err(Problem::new(span, format!("{package:?} is not an import path")));
        }
        Ok(package)
    }

    fn name(&mut self) -> Result<Name, Problem> {
        let span = self.span();
        match self.token().clone() {
            Token::Word(text) => {
                self.advance();
                Ok(Name { text, span })
            }
            _ => Err(self.unexpected("a name")),
        }
    }

    fn behind_dot(&mut self, of: Expression) -> Result<Kind, Problem> {
        let of = Box::new(of);
        if self.accept('(') {
            if self.token() == &Token::Word("type".into()) {
                self.advance();
                self.expect(')')?;
                return Ok(Kind::Held(of));
            }
            let to = self.type_name()?;
            self.expect(')')?;
            return Ok(Kind::Assert { of, to });
        }
        let field = self.name()?;
        let is_call = self.is('(');
        match field.text.as_str() {
            "Load" if is_call => {
                self.advance();
                self.expect(')')?;
                Ok(Kind::Load(of))
            }
            "Deadline" if is_call => {
                self.advance();
                self.expect(')')?;
                Ok(Kind::Deadline(of))
            }
            "Value" if is_call => {
                self.advance();
                if let Token::Text(_) | Token::Integer(_) = self.token()
                    && self.words.get(self.at + 1).is_none_or(|next| next.token != Token::Mark('.'))
                {
                    return Err(
                        self.problem("a context's value is named by the type of its key: ctx.Value(pkg.Key)")
                    );
                }
                let key = self.type_name()?;
                self.expect(')')?;
                Ok(Kind::ContextValue { of, key })
            }
            _ => Ok(Kind::Select { of, field }),
        }
    }

    fn call_of(&self, called: &Expression) -> Problem {
        let name = match &called.kind {
            Kind::Name(name) => name,
            Kind::Select { field, .. } => &field.text,
            _ => return self.problem("nothing can be called here: a capture only reads"),
        };
        let known = Builtin::ALL.iter().map(|builtin| builtin.name()).chain(["Load", "Deadline", "Value"]);
        let message = format!(
            "{name} cannot be called: a capture only reads; there are len, cap, since, addr, string, statement, fd, .Load(), .Deadline() and .Value(T)"
        );
        Problem::new(called.span, message).with_nearest(nearest(name, known))
    }

    fn in_brackets(&mut self, of: Expression) -> Result<Kind, Problem> {
        let of = Box::new(of);
        if self.accept(':') {
            return self.high(of, None);
        }
        let span = self.span();
        let key = match self.token().clone() {
            Token::Integer(number) => Constant::Integer(number),
            Token::Text(text) => Constant::Text(text),
            Token::Word(word) if word == "true" || word == "false" => Constant::Bool(word == "true"),
            Token::Word(word) => {
                let message = format!(
                    "{word} is not a constant: an index is a number, and the key of a map a number, a text or a bool"
                );
                return Err(self.problem(message));
            }
            _ => return Err(self.unexpected("an index or a key")),
        };
        self.advance();
        if self.accept(':') {
            let low = bound(&key, span)?;
            return self.high(of, Some(low));
        }
        self.expect(']')?;
        Ok(Kind::Index { of, key })
    }

    /// Behind the colon of a slice expression.
    fn high(&mut self, of: Box<Expression>, low: Option<u64>) -> Result<Kind, Problem> {
        let span = self.span();
        let high = match *self.token() {
            Token::Integer(number) => {
                self.advance();
                Some(bound(&Constant::Integer(number), span)?)
            }
            _ => None,
        };
        self.expect(']')?;
        if let (Some(low), Some(high)) = (low, high)
            && low > high
        {
            return Err(Problem::new(span, format!("the slice ends at {high}, before its start at {low}")));
        }
        Ok(Kind::Slice { of, low, high })
    }

    fn type_name(&mut self) -> Result<TypeName, Problem> {
        self.part()?;
        let start = self.span();
        let kind = self.deeper(|parser| parser.type_kind(start))?;
        Ok(TypeName { kind, span: start.to(self.end()) })
    }

    fn type_kind(&mut self, start: Span) -> Result<TypeKind, Problem> {
        match self.token().clone() {
            Token::Mark('*') => {
                self.advance();
                Ok(TypeKind::Pointer(Box::new(self.type_name()?)))
            }
            Token::Mark('[') => {
                self.advance();
                if self.accept(']') {
                    return Ok(TypeKind::Slice(Box::new(self.type_name()?)));
                }
                let Token::Integer(number) = *self.token() else {
                    return Err(self.unexpected("] or the length of an array"));
                };
                let length = bound(&Constant::Integer(number), self.span())?;
                self.advance();
                self.expect(']')?;
                Ok(TypeKind::Array(length, Box::new(self.type_name()?)))
            }
            Token::Word(word) if word == "map" => {
                self.advance();
                self.expect('[')?;
                let key = self.type_name()?;
                self.expect(']')?;
                Ok(TypeKind::Map(Box::new(key), Box::new(self.type_name()?)))
            }
            Token::Word(word) if ["func", "struct", "interface", "chan"].contains(&word.as_str()) => {
                Err(self.problem(format!("a {word} type cannot be asserted here; give the name of a type")))
            }
            Token::Word(word) => {
                self.advance();
                if self.accept('.') {
                    let name = self.name()?.text;
                    self.named(Some(word), name)
                } else {
                    self.named(None, word)
                }
            }
            Token::Path(package) | Token::Text(package) => {
                self.advance();
                let package = self.package(package, start)?;
                self.expect('.')?;
                let name = self.name()?.text;
                self.named(Some(package), name)
            }
            _ => Err(self.unexpected("a type")),
        }
    }

    fn named(&mut self, package: Option<String>, name: String) -> Result<TypeKind, Problem> {
        let mut arguments = Vec::new();
        if self.accept('[') {
            arguments.push(self.type_name()?);
            while self.accept(',') {
                arguments.push(self.type_name()?);
            }
            self.expect(']')?;
        }
        Ok(TypeKind::Named { package, name, arguments })
    }
}

fn bound(key: &Constant, span: Span) -> Result<u64, Problem> {
    match key {
        Constant::Integer(number) => u64::try_from(*number).ok(),
        _ => None,
    }
    .ok_or_else(|| {
        Problem::new(span, "the bounds of a slice and the length of an array are numbers from 0 on")
    })
}

#[cfg(test)]
mod tests;
