//! Statements as text that reads back as the same statement: every name quoted, every operation in brackets.

use std::fmt::{self, Display, Formatter, Write};

use super::ast::*;

/// A name between backquotes.
struct Name<'a>(&'a str);

impl Display for Name<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`", self.0)
    }
}

/// A text between quotes, escaped.
struct Text<'a>(&'a str);

impl Display for Text<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_char('\'')?;
        let mut chars = self.0.chars().peekable();
        while let Some(c) = chars.next() {
            match c {
                '\'' => f.write_str("\\'")?,
                // These keep their backslash when they are read.
                '\\' if matches!(chars.peek(), Some('%' | '_' | 'x')) => f.write_char('\\')?,
                '\\' => f.write_str("\\\\")?,
                c => f.write_char(c)?,
            }
        }
        f.write_char('\'')
    }
}

/// With something between each two.
struct Joined<'a, T>(&'a [T], &'static str);

impl<T: Display> Display for Joined<'_, T> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for (at, one) in self.0.iter().enumerate() {
            if at > 0 {
                f.write_str(self.1)?;
            }
            one.fmt(f)?;
        }
        Ok(())
    }
}

fn names(all: &[String]) -> String {
    let names: Vec<String> = all.iter().map(|name| Name(name).to_string()).collect();
    names.join(", ")
}

impl Display for TableName {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if let Some(database) = &self.database {
            write!(f, "{}.", Name(database))?;
        }
        Name(&self.table).fmt(f)
    }
}

impl Display for BinaryOp {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            BinaryOp::Add => "+",
            BinaryOp::Subtract => "-",
            BinaryOp::Multiply => "*",
            BinaryOp::Divide => "/",
            BinaryOp::Modulo => "%",
            BinaryOp::BitAnd => "&",
            BinaryOp::BitOr => "|",
            BinaryOp::Equal => "=",
            BinaryOp::NotEqual => "<>",
            BinaryOp::Less => "<",
            BinaryOp::LessEqual => "<=",
            BinaryOp::Greater => ">",
            BinaryOp::GreaterEqual => ">=",
        })
    }
}

impl Display for Expr {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let not = |negated: &bool| if *negated { "NOT " } else { "" };
        match self {
            Expr::Null => f.write_str("NULL"),
            Expr::Bool(value) => write!(f, "{value}"),
            Expr::Number(digits) => f.write_str(digits),
            Expr::Text(text) => Text(text).fmt(f),
            Expr::Duration(duration) => duration.fmt(f),
            Expr::Column { table: None, name } => Name(name).fmt(f),
            Expr::Column { table: Some(table), name } => write!(f, "{}.{}", Name(table), Name(name)),
            Expr::Star { table: None } => f.write_str("*"),
            Expr::Star { table: Some(table) } => write!(f, "{}.*", Name(table)),
            Expr::Call { name, args } if name == "position" && args.len() == 2 => {
                write!(f, "position({} IN {})", args[0], args[1])
            }
            Expr::Call { name, args } if name == "trim" && args.len() == 3 => {
                let side = if let Expr::Text(side) = &args[1] { side } else { "both" };
                write!(f, "trim({side} {} FROM {})", args[2], args[0])
            }
            Expr::Call { name, args } => write!(f, "{name}({})", Joined(args, ", ")),
            Expr::Cast { expr, to } => write!(f, "cast({expr} AS {to})"),
            // A number with a sign is a number.
            Expr::Negative(inner) => write!(f, "(-({inner}))"),
            Expr::Not(inner) => write!(f, "(NOT {inner})"),
            Expr::And(terms) => write!(f, "({})", Joined(terms, " AND ")),
            Expr::Or(terms) => write!(f, "({})", Joined(terms, " OR ")),
            Expr::Binary { op, left, right } => write!(f, "({left} {op} {right})"),
            Expr::Between { expr, low, high, negated } => {
                write!(f, "({expr} {}BETWEEN {low} AND {high})", not(negated))
            }
            Expr::In { expr, list, negated } => write!(f, "({expr} {}IN ({}))", not(negated), Joined(list, ", ")),
            Expr::Like { expr, pattern, negated } => write!(f, "({expr} {}LIKE {pattern})", not(negated)),
            Expr::Match { expr, pattern, negated } => {
                write!(f, "({expr} {} {pattern})", if *negated { "NMATCH" } else { "MATCH" })
            }
            Expr::IsNull { expr, negated } => write!(f, "({expr} IS {}NULL)", not(negated)),
            Expr::Case { operand, branches, otherwise } => {
                f.write_str("CASE")?;
                if let Some(operand) = operand {
                    write!(f, " {operand}")?;
                }
                for (when, then) in branches {
                    write!(f, " WHEN {when} THEN {then}")?;
                }
                if let Some(otherwise) = otherwise {
                    write!(f, " ELSE {otherwise}")?;
                }
                f.write_str(" END")
            }
            Expr::Member { expr, key } => write!(f, "({expr}->{})", Text(key)),
            Expr::Contains { expr, key } => write!(f, "({expr} CONTAINS {})", Text(key)),
        }
    }
}

impl Display for SelectItem {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.expr.fmt(f)?;
        match &self.alias {
            Some(alias) => write!(f, " AS {}", Name(alias)),
            None => Ok(()),
        }
    }
}

impl Display for Query {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.body.fmt(f)?;
        if !self.order.is_empty() {
            write!(f, " ORDER BY {}", Joined(&self.order, ", "))?;
        }
        if let Some(Limit { count, offset }) = self.series_limit {
            write!(f, " SLIMIT {count} SOFFSET {offset}")?;
        }
        match self.limit {
            Some(Limit { count, offset }) => write!(f, " LIMIT {count} OFFSET {offset}"),
            None => Ok(()),
        }
    }
}

impl Display for QueryBody {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            QueryBody::Select(select) => select.fmt(f),
            QueryBody::Union { left, right, all } => {
                write!(f, "{left} UNION {}", if *all { "ALL " } else { "" })?;
                match **right {
                    QueryBody::Select(_) => right.fmt(f),
                    QueryBody::Union { .. } => write!(f, "({right})"),
                }
            }
        }
    }
}

impl Display for OrderItem {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.expr.fmt(f)?;
        if self.descending {
            f.write_str(" DESC")?;
        }
        match self.nulls_first {
            Some(true) => f.write_str(" NULLS FIRST"),
            Some(false) => f.write_str(" NULLS LAST"),
            None => Ok(()),
        }
    }
}

impl Display for Select {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("SELECT ")?;
        if self.distinct {
            f.write_str("DISTINCT ")?;
        }
        if self.tags {
            f.write_str("TAGS ")?;
        }
        Joined(&self.items, ", ").fmt(f)?;
        let Some(from) = &self.from else { return Ok(()) };
        write!(f, " FROM {from}")?;
        if let Some(condition) = &self.condition {
            write!(f, " WHERE {condition}")?;
        }
        if !self.partition.is_empty() {
            write!(f, " PARTITION BY {}", Joined(&self.partition, ", "))?;
        }
        match &self.range {
            Some(Range { from, to: Some(to) }) => write!(f, " RANGE({from}, {to})")?,
            Some(Range { from, to: None }) => write!(f, " RANGE({from})")?,
            None => {}
        }
        if let Some(every) = self.every {
            write!(f, " EVERY({every})")?;
        }
        if let Some(window) = &self.window {
            write!(f, " {window}")?;
        }
        if let Some(fill) = &self.fill {
            write!(f, " {fill}")?;
        }
        if !self.group.is_empty() {
            write!(f, " GROUP BY {}", Joined(&self.group, ", "))?;
        }
        match &self.having {
            Some(having) => write!(f, " HAVING {having}"),
            None => Ok(()),
        }
    }
}

impl Display for Source {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let alias = match self {
            Source::Table { name, alias } => {
                name.fmt(f)?;
                alias
            }
            Source::Query { query, alias } => {
                write!(f, "({query})")?;
                alias
            }
            Source::Join(join) => return join.fmt(f),
        };
        match alias {
            Some(alias) => write!(f, " AS {}", Name(alias)),
            None => Ok(()),
        }
    }
}

impl Display for Join {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let words = match self.kind {
            JoinKind::Cross => ",",
            JoinKind::Inner => " JOIN",
            JoinKind::Left => " LEFT JOIN",
            JoinKind::Right => " RIGHT JOIN",
            JoinKind::Full => " FULL JOIN",
            JoinKind::LeftSemi => " LEFT SEMI JOIN",
            JoinKind::RightSemi => " RIGHT SEMI JOIN",
            JoinKind::LeftAnti => " LEFT ANTI JOIN",
            JoinKind::RightAnti => " RIGHT ANTI JOIN",
            JoinKind::LeftAsof => " LEFT ASOF JOIN",
            JoinKind::RightAsof => " RIGHT ASOF JOIN",
        };
        let side = |f: &mut Formatter<'_>, side: &Source, bracketed: bool| match side {
            Source::Join(_) if bracketed => write!(f, "({side})"),
            _ => side.fmt(f),
        };
        side(f, &self.left, self.kind != JoinKind::Cross)?;
        write!(f, "{words} ")?;
        side(f, &self.right, true)?;
        match &self.on {
            Some(on) => write!(f, " ON {on}"),
            None => Ok(()),
        }
    }
}

impl Display for Window {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let at_least = |f: &mut Formatter<'_>, least: &Option<super::time::Duration>| match least {
            Some(least) => write!(f, " TRUE_FOR({least})"),
            None => Ok(()),
        };
        match self {
            Window::Interval { every, offset, auto, sliding } => {
                write!(f, "INTERVAL({every}")?;
                if let Some(offset) = offset {
                    write!(f, ", {offset}")?;
                }
                f.write_str(if *auto { ", AUTO)" } else { ")" })?;
                match sliding {
                    Some(sliding) => write!(f, " SLIDING({sliding})"),
                    None => Ok(()),
                }
            }
            Window::Session { column, gap } => write!(f, "SESSION({column}, {gap})"),
            Window::State { expr, at_least: least } => {
                write!(f, "STATE_WINDOW({expr})")?;
                at_least(f, least)
            }
            Window::Event { start, end, at_least: least } => {
                write!(f, "EVENT_WINDOW START WITH {start} END WITH {end}")?;
                at_least(f, least)
            }
            Window::Count { rows, sliding: None } => write!(f, "COUNT_WINDOW({rows})"),
            Window::Count { rows, sliding: Some(sliding) } => write!(f, "COUNT_WINDOW({rows}, {sliding})"),
        }
    }
}

impl Display for Fill {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let mode = match self.mode {
            FillMode::None => "NONE",
            FillMode::Null => "NULL",
            FillMode::NullForced => "NULL_F",
            FillMode::Value => "VALUE",
            FillMode::ValueForced => "VALUE_F",
            FillMode::Previous => "PREV",
            FillMode::Next => "NEXT",
            FillMode::Linear => "LINEAR",
            FillMode::Near => "NEAR",
        };
        write!(f, "FILL({mode}")?;
        self.values.iter().try_for_each(|value| write!(f, ", {value}"))?;
        f.write_char(')')
    }
}

impl Display for InsertValue {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            InsertValue::Null => f.write_str("NULL"),
            InsertValue::Bool(value) => write!(f, "{value}"),
            InsertValue::Number(digits) => f.write_str(digits),
            InsertValue::Text(text) => Text(text).fmt(f),
            InsertValue::Moment { base, shifts } => {
                match base {
                    MomentBase::Now => f.write_str("now")?,
                    MomentBase::Today => f.write_str("today()")?,
                    MomentBase::Number(number) => write!(f, "{number}")?,
                    MomentBase::Text(text) => Text(text).fmt(f)?,
                }
                let sign = |sign: &i64| if *sign < 0 { '-' } else { '+' };
                shifts.iter().try_for_each(|(by, duration)| write!(f, " {} {duration}", sign(by)))
            }
        }
    }
}

impl Display for Using {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "USING {}", self.table)?;
        if let Some(tags) = &self.tag_names {
            write!(f, " ({})", names(tags))?;
        }
        write!(f, " TAGS ({})", Joined(&self.tags, ", "))
    }
}

impl Display for InsertPart {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.table.fmt(f)?;
        if let Some(using) = &self.using {
            write!(f, " {using}")?;
        }
        if let Some(columns) = &self.columns {
            write!(f, " ({})", names(columns))?;
        }
        match &self.rows {
            InsertRows::Values(rows) => {
                f.write_str(" VALUES")?;
                rows.iter().try_for_each(|row| write!(f, " ({})", Joined(row, ", ")))
            }
            InsertRows::Query(query) => write!(f, " {query}"),
        }
    }
}

impl Display for ColumnDefinition {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", Name(&self.name), self.kind)
    }
}

impl Display for TableOptions {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if let Some(comment) = &self.comment {
            write!(f, " COMMENT {}", Text(comment))?;
        }
        self.ttl_days.map_or(Ok(()), |days| write!(f, " TTL {days}"))
    }
}

impl Display for DatabaseOption {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let values: Vec<String> = self.values.iter().map(|value| Text(value).to_string()).collect();
        write!(f, "{} {}", self.name, values.join(", "))
    }
}

impl Display for TableChange {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            TableChange::AddColumn(column) => write!(f, " ADD COLUMN {column}"),
            TableChange::DropColumn(name) => write!(f, " DROP COLUMN {}", Name(name)),
            TableChange::ModifyColumn(column) => write!(f, " MODIFY COLUMN {column}"),
            TableChange::RenameColumn { from, to } => write!(f, " RENAME COLUMN {} {}", Name(from), Name(to)),
            TableChange::AddTag(tag) => write!(f, " ADD TAG {tag}"),
            TableChange::DropTag(name) => write!(f, " DROP TAG {}", Name(name)),
            TableChange::ModifyTag(tag) => write!(f, " MODIFY TAG {tag}"),
            TableChange::RenameTag { from, to } => write!(f, " RENAME TAG {} {}", Name(from), Name(to)),
            TableChange::SetTags(tags) => {
                let tags: Vec<String> = tags.iter().map(|(name, value)| format!("{} = {value}", Name(name))).collect();
                write!(f, " SET TAG {}", tags.join(", "))
            }
            TableChange::Options(options) => options.fmt(f),
        }
    }
}

impl Display for Statement {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let absent = |if_not_exists: &bool| if *if_not_exists { "IF NOT EXISTS " } else { "" };
        let there = |if_exists: &bool| if *if_exists { "IF EXISTS " } else { "" };
        match self {
            Statement::Query(query) => query.fmt(f),
            Statement::Explain { query, run } => write!(f, "EXPLAIN {}{query}", if *run { "ANALYZE " } else { "" }),
            Statement::Insert(insert) => write!(f, "INSERT INTO {}", Joined(&insert.parts, " ")),
            Statement::Delete(delete) => {
                write!(f, "DELETE FROM {}", delete.table)?;
                delete.condition.iter().try_for_each(|condition| write!(f, " WHERE {condition}"))
            }
            Statement::CreateDatabase(create) => {
                write!(f, "CREATE DATABASE {}{}", absent(&create.if_not_exists), Name(&create.name))?;
                create.options.iter().try_for_each(|option| write!(f, " {option}"))
            }
            Statement::AlterDatabase { name, options } => {
                write!(f, "ALTER DATABASE {}", Name(name))?;
                options.iter().try_for_each(|option| write!(f, " {option}"))
            }
            Statement::DropDatabase { name, if_exists } => {
                write!(f, "DROP DATABASE {}{}", there(if_exists), Name(name))
            }
            Statement::Use(name) => write!(f, "USE {}", Name(name)),
            Statement::CreateTable(create) => {
                let verb = if create.stable { "STABLE" } else { "TABLE" };
                let columns = Joined(&create.columns, ", ");
                write!(f, "CREATE {verb} {}{} ({columns})", absent(&create.if_not_exists), create.table)?;
                if let Some(tags) = &create.tags {
                    write!(f, " TAGS ({})", Joined(tags, ", "))?;
                }
                create.options.fmt(f)
            }
            Statement::CreateSeries(all) => {
                f.write_str("CREATE TABLE")?;
                all.iter().try_for_each(|one| {
                    write!(f, " {}{} {}{}", absent(&one.if_not_exists), one.table, one.using, one.options)
                })
            }
            Statement::AlterTable { table, change } => write!(f, "ALTER TABLE {table}{change}"),
            Statement::DropTables { tables, supers_only } => {
                let tables: Vec<String> =
                    tables.iter().map(|(name, if_exists)| format!("{}{name}", there(if_exists))).collect();
                write!(f, "DROP {} {}", if *supers_only { "STABLE" } else { "TABLE" }, tables.join(", "))
            }
            Statement::Describe(table) => write!(f, "DESCRIBE {table}"),
            Statement::Show(show) => write!(f, "SHOW {show}"),
            // What is printed may be looked at: passwords are not for looking at.
            Statement::CreateUser { name, .. } => write!(f, "CREATE USER {} PASS '******'", Name(name)),
            Statement::AlterUser { name, .. } => write!(f, "ALTER USER {} PASS '******'", Name(name)),
            Statement::DropUser(name) => write!(f, "DROP USER {}", Name(name)),
            Statement::Grant => f.write_str("GRANT"),
            Statement::Maintenance => f.write_str("FLUSH"),
        }
    }
}

impl Display for Show {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let within =
            |database: &Option<String>| database.as_ref().map(|name| format!("{}.", Name(name))).unwrap_or_default();
        let fitting =
            |like: &Option<String>| like.as_ref().map(|text| format!(" LIKE {}", Text(text))).unwrap_or_default();
        match self {
            Show::Databases(which) => f.write_str(match which {
                Databases::All => "DATABASES",
                Databases::User => "USER DATABASES",
                Databases::System => "SYSTEM DATABASES",
            }),
            Show::Supers { database, like } => write!(f, "{}STABLES{}", within(database), fitting(like)),
            Show::Tables { kind, database, like } => {
                let kind = match kind {
                    TableKind::All => "",
                    TableKind::Normal => "NORMAL ",
                    TableKind::Child => "CHILD ",
                };
                write!(f, "{kind}{}TABLES{}", within(database), fitting(like))
            }
            Show::Views { database } => write!(f, "{}VIEWS", within(database)),
            Show::CreateDatabase(name) => write!(f, "CREATE DATABASE {}", Name(name)),
            Show::CreateTable { table, stable } => {
                write!(f, "CREATE {} {table}", if *stable { "STABLE" } else { "TABLE" })
            }
            Show::Tags { table } => write!(f, "TAGS FROM {table}"),
            Show::TableTags { table, tags } if tags.is_empty() => write!(f, "TABLE TAGS FROM {table}"),
            Show::TableTags { table, tags } => write!(f, "TABLE TAGS {} FROM {table}", names(tags)),
            Show::Alive { database } => write!(f, "{}ALIVE", within(database)),
            Show::ClusterAlive => f.write_str("CLUSTER ALIVE"),
            Show::Indexes { table } => write!(f, "INDEXES FROM {table}"),
            Show::List { table, .. } => f.write_str(super::parser::list_word(table)),
        }
    }
}
