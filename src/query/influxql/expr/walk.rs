//! Going through an expression.

use super::{Call, Expr};

impl Expr {
    /// Shows `visit` this expression and then, if it says so, everything in it, from left to right.
    pub fn walk<'a>(&'a self, visit: &mut impl FnMut(&'a Expr) -> bool) {
        if visit(self) {
            self.children(&mut |child| child.walk(visit));
        }
    }

    /// Shows `visit` what this expression is made of, from left to right.
    pub fn children<'a>(&'a self, visit: &mut dyn FnMut(&'a Expr)) {
        match self {
            Expr::Ref(_) | Expr::Distinct(_) | Expr::Wildcard(_) | Expr::Literal(_) => {}
            Expr::Call(call) => call.args.iter().for_each(visit),
            Expr::Paren(inner) => visit(inner),
            Expr::Binary(binary) => {
                visit(&binary.left);
                visit(&binary.right);
            }
            Expr::Logic(_, terms) => terms.iter().for_each(visit),
        }
    }

    /// Whether a call stands anywhere in it. `DISTINCT f` does not count here.
    pub fn has_call(&self) -> bool {
        self.any(&mut |part| matches!(part, Expr::Call(_)))
    }

    /// Whether `wanted` holds for a part of it.
    pub fn any(&self, wanted: &mut dyn FnMut(&Expr) -> bool) -> bool {
        let mut found = false;
        self.walk(&mut |part| {
            found = found || wanted(part);
            !found
        });
        found
    }
}

impl Call {
    /// `distinct(name)`, which `DISTINCT name` is short for.
    pub fn distinct(name: &super::Ident) -> Call {
        Call { name: "distinct".to_string(), args: vec![Expr::Ref(super::VarRef { name: name.clone(), cast: None })] }
    }
}
