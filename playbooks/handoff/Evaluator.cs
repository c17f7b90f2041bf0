// Expressions as the controller's playbooks have them (minijinja, strict on undefined names), given
// as the trees into which the controller's own parser has read them (playbooks/src/handoff/tree.rs).
namespace Fleetmend.Handoff
{
    public sealed class EvaluationException : Exception
    {
        public EvaluationException(string message) : base(message) { }
    }

    // What a name that is not there yields; nearly everything that is done with it fails.
    public sealed class Undefined
    {
        public static readonly Undefined Value = new Undefined();
        private Undefined() { }
    }

    public static class Evaluator
    {
        public static object Evaluate(object tree, IDictionary<string, object> scope)
        {
            List<object> node = (List<object>)tree;
            string kind = (string)node[0];
            switch (kind)
            {
                case "const": return node[1];
                case "var":
                {
                    object found;
                    return scope.TryGetValue((string)node[1], out found) ? found : Undefined.Value;
                }
                case "attr": return Member(Evaluate(node[1], scope), node[2]);
                case "item": return Member(Evaluate(node[1], scope), Evaluate(node[2], scope));
                case "slice": return Slice(node, scope);
                case "not": return !IsTrue(Evaluate(node[1], scope));
                case "neg": return Negative(Evaluate(node[1], scope));
                case "binary": return Binary((string)node[1], node[2], node[3], scope);
                case "compare": return Chain(node, scope);
                case "if":
                    if (IsTrue(Evaluate(node[1], scope))) { return Evaluate(node[2], scope); }
                    return node[3] == null ? Undefined.Value : Evaluate(node[3], scope);
                case "list": return Each(node[1], scope);
                case "test": return Tests.Holds((string)node[1], Evaluate(node[2], scope), Each(node[3], scope));
                case "filter":
                {
                    SortedDictionary<string, object> named = Json.Object();
                    foreach (KeyValuePair<string, object> each in (IDictionary<string, object>)node[4])
                    {
                        named[each.Key] = Evaluate(each.Value, scope);
                    }
                    return Filters.Apply((string)node[1], Evaluate(node[2], scope), Each(node[3], scope), named);
                }
                default: throw new EvaluationException("unknown kind of expression: " + kind);
            }
        }

        // A condition must yield true or false.
        public static bool Holds(object tree, IDictionary<string, object> scope)
        {
            object value = Evaluate(tree, scope);
            if (value is bool) { return (bool)value; }
            throw new EvaluationException("a condition is neither true nor false");
        }

        public static object Defined(object tree, IDictionary<string, object> scope)
        {
            object value = Evaluate(tree, scope);
            if (value is Undefined) { throw new EvaluationException("the value is undefined"); }
            return value;
        }

        // A text in parts: raw, emit, cond.
        public static string Render(object parts, IDictionary<string, object> scope)
        {
            StringBuilder made = new StringBuilder();
            Render(parts, scope, made);
            return made.ToString();
        }

        private static void Render(object parts, IDictionary<string, object> scope, StringBuilder made)
        {
            foreach (object part in (List<object>)parts)
            {
                List<object> node = (List<object>)part;
                switch ((string)node[0])
                {
                    case "raw": made.Append((string)node[1]); break;
                    case "emit": made.Append(Values.Show(Defined(node[1], scope))); break;
                    default: Render(IsTrue(Evaluate(node[1], scope)) ? node[2] : node[3], scope, made); break;
                }
            }
        }

        private static List<object> Each(object trees, IDictionary<string, object> scope)
        {
            List<object> all = new List<object>();
            foreach (object tree in (List<object>)trees) { all.Add(Evaluate(tree, scope)); }
            return all;
        }

        public static bool IsTrue(object value)
        {
            if (value is Undefined) { throw new EvaluationException("undefined value"); }
            return Values.Truth(value);
        }

        public static object Member(object parent, object key)
        {
            if (parent is Undefined) { throw new EvaluationException("undefined value"); }
            IDictionary<string, object> members = parent as IDictionary<string, object>;
            if (members != null)
            {
                object found;
                string name = key as string;
                return name != null && members.TryGetValue(name, out found) ? found : Undefined.Value;
            }
            List<object> items = parent as List<object>;
            if (items != null && key is long)
            {
                long index = (long)key;
                if (index < 0) { index += items.Count; }
                return index >= 0 && index < items.Count ? items[(int)index] : Undefined.Value;
            }
            return Undefined.Value;
        }

        private static object Slice(List<object> node, IDictionary<string, object> scope)
        {
            object value = Evaluate(node[1], scope);
            if (node[4] != null) { throw new EvaluationException("a slice with a step"); }
            object start = node[2] == null ? null : Evaluate(node[2], scope);
            object stop = node[3] == null ? null : Evaluate(node[3], scope);
            string text = value as string;
            List<object> items = value as List<object>;
            if (text == null && items == null) { throw new EvaluationException("cannot be sliced"); }
            int length = text != null ? text.Length : items.Count;
            int from = Bound(start, length, 0);
            int to = Math.Max(from, Bound(stop, length, length));
            if (text != null) { return text.Substring(from, to - from); }
            return items.GetRange(from, to - from);
        }

        private static int Bound(object value, int length, int otherwise)
        {
            if (value == null) { return otherwise; }
            long index = (long)value;
            if (index < 0) { index += length; }
            return (int)Math.Max(0, Math.Min(length, index));
        }

        private static object Negative(object value)
        {
            if (value is long) { return checked(-(long)value); }
            if (value is double) { return -(double)value; }
            throw new EvaluationException("not a number");
        }

        private static object Chain(List<object> node, IDictionary<string, object> scope)
        {
            object left = Evaluate(node[1], scope);
            foreach (object each in (List<object>)node[2])
            {
                List<object> link = (List<object>)each;
                object right = Evaluate(link[1], scope);
                if (!(bool)Compared((string)link[0], left, right)) { return false; }
                left = right;
            }
            return true;
        }

        private static object Binary(string name, object left, object right, IDictionary<string, object> scope)
        {
            object a = Evaluate(left, scope);
            if (name == "and") { return IsTrue(a) ? Evaluate(right, scope) : a; }
            if (name == "or") { return IsTrue(a) ? a : Evaluate(right, scope); }
            object b = Evaluate(right, scope);
            if (a is Undefined || b is Undefined) { throw new EvaluationException("undefined value"); }
            switch (name)
            {
                case "~": return Values.Show(a) + Values.Show(b);
                case "+":
                    if (a is string && b is string) { return (string)a + (string)b; }
                    if (a is List<object> && b is List<object>)
                    {
                        List<object> both = new List<object>((List<object>)a);
                        both.AddRange((List<object>)b);
                        return both;
                    }
                    return Sum(name, a, b);
                case "-":
                case "*":
                case "/":
                    return Sum(name, a, b);
                default:
                    return Compared(name, a, b);
            }
        }

        private static object Sum(string name, object a, object b)
        {
            if (!Values.IsNumber(a) || !Values.IsNumber(b)) { throw new EvaluationException("not a number"); }
            if (name != "/" && a is long && b is long)
            {
                long x = (long)a;
                long y = (long)b;
                return checked(name == "+" ? x + y : name == "-" ? x - y : x * y);
            }
            double u = Values.Real(a);
            double v = Values.Real(b);
            return name == "+" ? u + v : name == "-" ? u - v : name == "*" ? u * v : u / v;
        }

        private static object Compared(string name, object a, object b)
        {
            if (a is Undefined || b is Undefined) { throw new EvaluationException("undefined value"); }
            switch (name)
            {
                case "==": return Values.Same(a, b);
                case "!=": return !Values.Same(a, b);
                case "<": return Values.Order(a, b) < 0;
                case "<=": return Values.Order(a, b) <= 0;
                case ">": return Values.Order(a, b) > 0;
                case ">=": return Values.Order(a, b) >= 0;
                case "in": return Values.Contains(b, a);
                case "not in": return !Values.Contains(b, a);
                default: throw new EvaluationException("unknown operator: " + name);
            }
        }
    }

    public static class Values
    {
        public static bool IsNumber(object value) { return value is long || value is double; }

        public static double Real(object value)
        {
            if (value is bool) { return (bool)value ? 1 : 0; }
            return value is long ? (double)(long)value : (double)value;
        }

        public static bool Truth(object value)
        {
            if (value == null || value is Undefined) { return false; }
            if (value is bool) { return (bool)value; }
            if (value is long) { return (long)value != 0; }
            if (value is double) { return (double)value != 0; }
            string text = value as string;
            if (text != null) { return text.Length > 0; }
            List<object> items = value as List<object>;
            return items != null ? items.Count > 0 : ((IDictionary<string, object>)value).Count > 0;
        }

        // The order of kinds: undefined, none, bool, number, string, list, map.
        private static int Rank(object value)
        {
            if (value is Undefined) { return 0; }
            if (value == null) { return 1; }
            if (value is bool) { return 2; }
            if (IsNumber(value)) { return 3; }
            if (value is string) { return 4; }
            return value is List<object> ? 5 : 6;
        }

        public static bool Same(object a, object b)
        {
            bool numeric = (IsNumber(a) || a is bool) && (IsNumber(b) || b is bool);
            if (!numeric && Rank(a) != Rank(b)) { return false; }
            IDictionary<string, object> members = a as IDictionary<string, object>;
            if (members == null) { return Order(a, b) == 0; }
            IDictionary<string, object> others = (IDictionary<string, object>)b;
            if (members.Count != others.Count) { return false; }
            foreach (KeyValuePair<string, object> member in members)
            {
                object other;
                if (!others.TryGetValue(member.Key, out other) || !Same(member.Value, other)) { return false; }
            }
            return true;
        }

        public static int Order(object a, object b)
        {
            bool numeric = (IsNumber(a) || a is bool) && (IsNumber(b) || b is bool);
            if (!numeric && Rank(a) != Rank(b)) { return Rank(a).CompareTo(Rank(b)); }
            if (a is long && b is long) { return ((long)a).CompareTo((long)b); }
            if (numeric) { return Real(a).CompareTo(Real(b)); }
            string text = a as string;
            if (text != null) { return string.CompareOrdinal(text, (string)b); }
            List<object> items = a as List<object>;
            if (items != null)
            {
                List<object> others = (List<object>)b;
                for (int i = 0; i < items.Count && i < others.Count; i++)
                {
                    int order = Order(items[i], others[i]);
                    if (order != 0) { return order; }
                }
                return items.Count.CompareTo(others.Count);
            }
            if (a == null || a is Undefined) { return 0; }
            throw new EvaluationException("objects have no order");
        }

        public static bool Contains(object container, object value)
        {
            string text = container as string;
            if (text != null) { return text.IndexOf(Show(value), StringComparison.Ordinal) >= 0; }
            List<object> items = container as List<object>;
            if (items != null)
            {
                foreach (object item in items) { if (Same(item, value)) { return true; } }
                return false;
            }
            IDictionary<string, object> members = container as IDictionary<string, object>;
            if (members != null) { return value is string && members.ContainsKey((string)value); }
            throw new EvaluationException("cannot look into this value");
        }

        public static List<object> Items(object value)
        {
            List<object> items = value as List<object>;
            if (items != null) { return items; }
            List<object> made = new List<object>();
            if (value == null) { return made; }
            string text = value as string;
            if (text != null)
            {
                TextElementList(text, made);
                return made;
            }
            IDictionary<string, object> members = value as IDictionary<string, object>;
            if (members == null) { throw new EvaluationException("not a list"); }
            foreach (string key in members.Keys) { made.Add(key); }
            return made;
        }

        // Characters beyond the first plane are one, not two.
        private static void TextElementList(string text, List<object> made)
        {
            for (int i = 0; i < text.Length; i++)
            {
                int length = char.IsHighSurrogate(text[i]) && i + 1 < text.Length ? 2 : 1;
                made.Add(text.Substring(i, length));
                i += length - 1;
            }
        }

        public static string Show(object value)
        {
            string text = value as string;
            return text != null ? text : Quoted(value);
        }

        // As Python shows it: None, True, ['a', 1].
        private static string Quoted(object value)
        {
            if (value is Undefined) { return ""; }
            if (value == null) { return "None"; }
            if (value is bool) { return (bool)value ? "True" : "False"; }
            if (value is double) { return Numbers.Show((double)value); }
            string text = value as string;
            if (text != null)
            {
                char quote = text.IndexOf('\'') >= 0 && text.IndexOf('"') < 0 ? '"' : '\'';
                return quote + text.Replace("\\", "\\\\").Replace(quote.ToString(), "\\" + quote) + quote;
            }
            List<object> items = value as List<object>;
            if (items != null)
            {
                string[] all = new string[items.Count];
                for (int i = 0; i < all.Length; i++) { all[i] = Quoted(items[i]); }
                return "[" + string.Join(", ", all) + "]";
            }
            IDictionary<string, object> members = value as IDictionary<string, object>;
            if (members != null)
            {
                List<string> all = new List<string>();
                foreach (KeyValuePair<string, object> each in members) { all.Add(Quoted(each.Key) + ": " + Quoted(each.Value)); }
                return "{" + string.Join(", ", all.ToArray()) + "}";
            }
            return Convert.ToString(value, CultureInfo.InvariantCulture);
        }
    }

    public static class Tests
    {
        public static bool Holds(string name, object value, List<object> arguments)
        {
            object first = arguments.Count > 0 ? arguments[0] : null;
            switch (name)
            {
                case "none": return value == null;
                case "true": return value is bool && (bool)value;
                case "false": return value is bool && !(bool)value;
                case "defined": return !(value is Undefined);
                case "undefined": return value is Undefined;
                case "string": return value is string;
                // As in Python, true is a number.
                case "number": return Values.IsNumber(value) || value is bool;
                case "boolean": return value is bool;
                case "sequence": return value is List<object>;
                case "mapping": return value is IDictionary<string, object>;
                case "equalto":
                case "eq": return Values.Same(value, first);
                case "ne": return !Values.Same(value, first);
                case "lessthan":
                case "lt": return Values.Order(value, first) < 0;
                case "le": return Values.Order(value, first) <= 0;
                case "greaterthan":
                case "gt": return Values.Order(value, first) > 0;
                case "ge": return Values.Order(value, first) >= 0;
                case "in": return Values.Contains(first, value);
                case "startingwith": return Text(value).StartsWith(Text(first), StringComparison.Ordinal);
                case "endingwith": return Text(value).EndsWith(Text(first), StringComparison.Ordinal);
                default: throw new EvaluationException("unknown test: " + name);
            }
        }

        public static string Text(object value)
        {
            string text = value as string;
            if (text == null) { throw new EvaluationException("not a text"); }
            return text;
        }
    }

    public static class Filters
    {
        public static object Apply(string name, object value, List<object> arguments, IDictionary<string, object> named)
        {
            object first = arguments.Count > 0 ? arguments[0] : null;
            if (name == "default") { return value is Undefined ? (arguments.Count > 0 ? first : "") : value; }
            if (name == "tojson") { return Written(value); }
            if (value is Undefined) { throw new EvaluationException("undefined value"); }
            switch (name)
            {
                case "abs":
                    if (value is long) { return Math.Abs((long)value); }
                    if (value is double) { return Math.Abs((double)value); }
                    throw new EvaluationException("cannot get absolute value");
                case "length":
                case "count":
                    if (value == null || value is bool || Values.IsNumber(value)) { throw new EvaluationException("it has no length"); }
                    return (long)Values.Items(value).Count;
                case "list": return new List<object>(Values.Items(value));
                case "first": return Values.Items(value).Count > 0 ? Values.Items(value)[0] : Undefined.Value;
                case "last": return Values.Items(value).Count > 0 ? Values.Items(value)[Values.Items(value).Count - 1] : Undefined.Value;
                case "lower": return Values.Show(value).ToLowerInvariant();
                case "upper": return Values.Show(value).ToUpperInvariant();
                case "string": return Values.Show(value);
                case "join":
                {
                    List<string> all = new List<string>();
                    foreach (object item in Values.Items(value)) { all.Add(Values.Show(item)); }
                    return string.Join(first == null ? "" : Values.Show(first), all.ToArray());
                }
                case "replace":
                {
                    string old = Values.Show(first);
                    return old.Length == 0 ? Values.Show(value) : Values.Show(value).Replace(old, Values.Show(arguments[1]));
                }
                case "split": return Split(Tests.Text(value), first as string);
                case "max": return Extreme(value, 1);
                case "min": return Extreme(value, -1);
                case "sort": return Sorted(value);
                case "trim": return Values.Show(value).Trim();
                case "unique": return Unique(value);
                case "map": return Mapped(value, arguments, named);
                case "select": return Chosen(value, null, arguments, 0, true);
                case "reject": return Chosen(value, null, arguments, 0, false);
                case "selectattr": return Chosen(value, Tests.Text(first), arguments, 1, true);
                case "rejectattr": return Chosen(value, Tests.Text(first), arguments, 1, false);
                default: throw new EvaluationException("unknown filter: " + name);
            }
        }

        private static object Split(string text, string separator)
        {
            string[] parts = separator == null
                ? text.Split((char[])null, StringSplitOptions.RemoveEmptyEntries)
                : text.Split(new string[] { separator }, StringSplitOptions.None);
            List<object> all = new List<object>();
            foreach (string part in parts) { all.Add(part); }
            return all;
        }

        // Texts are compared without case.
        private static int Loose(object a, object b)
        {
            string x = a as string;
            string y = b as string;
            return x != null && y != null ? string.CompareOrdinal(x.ToLowerInvariant(), y.ToLowerInvariant()) : Values.Order(a, b);
        }

        private static object Extreme(object value, int wanted)
        {
            List<object> items = Values.Items(value);
            if (items.Count == 0) { return Undefined.Value; }
            object best = items[0];
            foreach (object item in items) { if (Math.Sign(Loose(item, best)) == wanted) { best = item; } }
            return best;
        }

        private static object Sorted(object value)
        {
            List<object> made = new List<object>();
            foreach (object item in Values.Items(value))
            {
                int at = made.Count;
                while (at > 0 && Loose(made[at - 1], item) > 0) { at--; }
                made.Insert(at, item);
            }
            return made;
        }

        private static object Unique(object value)
        {
            List<object> made = new List<object>();
            foreach (object item in Values.Items(value))
            {
                bool known = false;
                foreach (object other in made) { known |= item is string && other is string ? Loose(item, other) == 0 : Values.Same(item, other); }
                if (!known) { made.Add(item); }
            }
            return made;
        }

        private static object Path(object value, string path)
        {
            foreach (string part in path.Split('.')) { value = Evaluator.Member(value, part); }
            return value;
        }

        private static object Mapped(object value, List<object> arguments, IDictionary<string, object> named)
        {
            List<object> made = new List<object>();
            object attribute;
            bool has = named.TryGetValue("attribute", out attribute);
            foreach (object item in Values.Items(value))
            {
                if (has) { made.Add(Path(item, Tests.Text(attribute))); continue; }
                List<object> rest = arguments.GetRange(1, arguments.Count - 1);
                made.Add(Apply(Tests.Text(arguments[0]), item, rest, Json.Object()));
            }
            return made;
        }

        private static object Chosen(object value, string path, List<object> arguments, int at, bool wanted)
        {
            List<object> made = new List<object>();
            string test = arguments.Count > at ? Tests.Text(arguments[at]) : null;
            List<object> rest = test == null ? null : arguments.GetRange(at + 1, arguments.Count - at - 1);
            foreach (object item in Values.Items(value))
            {
                object tried = path == null ? item : Path(item, path);
                bool holds = test == null ? Values.Truth(tried) : Tests.Holds(test, tried, rest);
                if (holds == wanted) { made.Add(item); }
            }
            return made;
        }

        // With a blank after each separator, and safe inside HTML.
        private static string Written(object value)
        {
            if (value == null || value is Undefined) { return "null"; }
            List<object> items = value as List<object>;
            if (items != null)
            {
                string[] all = new string[items.Count];
                for (int i = 0; i < all.Length; i++) { all[i] = Written(items[i]); }
                return "[" + string.Join(", ", all) + "]";
            }
            IDictionary<string, object> members = value as IDictionary<string, object>;
            if (members != null)
            {
                List<string> all = new List<string>();
                foreach (KeyValuePair<string, object> each in members) { all.Add(Written(each.Key) + ": " + Written(each.Value)); }
                return "{" + string.Join(", ", all.ToArray()) + "}";
            }
            string text = value as string;
            if (text == null) { return Json.Write(value); }
            StringBuilder made = new StringBuilder("\"");
            foreach (char c in text)
            {
                switch (c)
                {
                    case '"': made.Append("\\\""); break;
                    case '\\': made.Append("\\\\"); break;
                    case '\n': made.Append("\\n"); break;
                    case '\r': made.Append("\\r"); break;
                    case '\t': made.Append("\\t"); break;
                    case '\b': made.Append("\\b"); break;
                    case '\f': made.Append("\\f"); break;
                    default:
                        if (c < ' ' || c == '<' || c == '>' || c == '&' || c == '\'')
                        {
                            made.Append("\\u").Append(((int)c).ToString("x4", CultureInfo.InvariantCulture));
                        }
                        else { made.Append(c); }
                        break;
                }
            }
            return made.Append('"').ToString();
        }
    }
}
