// JSON as it is: whole numbers stay whole, objects keep their keys in ordinal order, as the
// controller has them. All characters beyond ASCII are written as \uXXXX.
//
// C# 3: what Windows PowerShell 3.0 to 5.1 compiles, and Mono in the tests.
using System;
using System.Collections.Generic;
using System.Diagnostics;
using System.Globalization;
using System.IO;
using System.Net;
using System.Security.Cryptography;
using System.Text;
using System.Threading;

namespace Fleetmend.Handoff
{
    public sealed class JsonException : Exception
    {
        public JsonException(string message) : base(message) { }
    }

    public sealed class Json
    {
        private readonly string text;
        private int at;

        private Json(string text) { this.text = text; }

        // Gives null, bool, long, double, string, List<object> or SortedDictionary<string, object>.
        public static object Parse(string text)
        {
            Json reader = new Json(text);
            object value = reader.Value(0);
            reader.Blanks();
            if (reader.at != text.Length) { throw new JsonException("more than one value"); }
            return value;
        }

        public static SortedDictionary<string, object> Object()
        {
            return new SortedDictionary<string, object>(StringComparer.Ordinal);
        }

        private void Blanks()
        {
            while (at < text.Length && (text[at] == ' ' || text[at] == '\n' || text[at] == '\r' || text[at] == '\t')) { at++; }
        }

        private char Next()
        {
            if (at >= text.Length) { throw new JsonException("it ends too soon"); }
            return text[at++];
        }

        private void Expect(string word)
        {
            if (string.CompareOrdinal(text, at, word, 0, word.Length) != 0) { throw new JsonException("odd value at " + at); }
            at += word.Length;
        }

        private object Value(int depth)
        {
            if (depth > 200) { throw new JsonException("too deep"); }
            Blanks();
            if (at >= text.Length) { throw new JsonException("it ends too soon"); }
            switch (text[at])
            {
                case '{': return Members(depth);
                case '[': return Items(depth);
                case '"': at++; return Text();
                case 't': Expect("true"); return true;
                case 'f': Expect("false"); return false;
                case 'n': Expect("null"); return null;
                default: return Number();
            }
        }

        private object Members(int depth)
        {
            SortedDictionary<string, object> all = Object();
            at++;
            Blanks();
            if (at < text.Length && text[at] == '}') { at++; return all; }
            while (true)
            {
                Blanks();
                if (Next() != '"') { throw new JsonException("a key is missing at " + at); }
                string key = Text();
                Blanks();
                if (Next() != ':') { throw new JsonException("a colon is missing at " + at); }
                all[key] = Value(depth + 1);
                Blanks();
                char next = Next();
                if (next == '}') { return all; }
                if (next != ',') { throw new JsonException("a comma is missing at " + at); }
            }
        }

        private object Items(int depth)
        {
            List<object> all = new List<object>();
            at++;
            Blanks();
            if (at < text.Length && text[at] == ']') { at++; return all; }
            while (true)
            {
                all.Add(Value(depth + 1));
                Blanks();
                char next = Next();
                if (next == ']') { return all; }
                if (next != ',') { throw new JsonException("a comma is missing at " + at); }
            }
        }

        private string Text()
        {
            StringBuilder made = new StringBuilder();
            while (true)
            {
                char c = Next();
                if (c == '"') { return made.ToString(); }
                if (c != '\\') { made.Append(c); continue; }
                c = Next();
                switch (c)
                {
                    case 'n': made.Append('\n'); break;
                    case 'r': made.Append('\r'); break;
                    case 't': made.Append('\t'); break;
                    case 'b': made.Append('\b'); break;
                    case 'f': made.Append('\f'); break;
                    case 'u':
                        if (at + 4 > text.Length) { throw new JsonException("it ends too soon"); }
                        made.Append((char)int.Parse(text.Substring(at, 4), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture));
                        at += 4;
                        break;
                    default: made.Append(c); break;
                }
            }
        }

        private object Number()
        {
            int start = at;
            while (at < text.Length && "+-0123456789.eE".IndexOf(text[at]) >= 0) { at++; }
            string digits = text.Substring(start, at - start);
            long whole;
            if (long.TryParse(digits, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out whole)) { return whole; }
            double real;
            if (double.TryParse(digits, NumberStyles.Float, CultureInfo.InvariantCulture, out real)) { return real; }
            throw new JsonException("odd value at " + start);
        }

        public static string Write(object value)
        {
            StringBuilder made = new StringBuilder();
            Write(value, made);
            return made.ToString();
        }

        private static void Write(object value, StringBuilder made)
        {
            if (value == null) { made.Append("null"); return; }
            if (value is bool) { made.Append((bool)value ? "true" : "false"); return; }
            if (value is string) { WriteText((string)value, made); return; }
            if (value is double) { made.Append(Numbers.Show((double)value)); return; }
            IDictionary<string, object> members = value as IDictionary<string, object>;
            if (members != null)
            {
                made.Append('{');
                bool later = false;
                foreach (KeyValuePair<string, object> member in members)
                {
                    if (later) { made.Append(','); }
                    later = true;
                    WriteText(member.Key, made);
                    made.Append(':');
                    Write(member.Value, made);
                }
                made.Append('}');
                return;
            }
            List<object> items = value as List<object>;
            if (items != null)
            {
                made.Append('[');
                for (int i = 0; i < items.Count; i++)
                {
                    if (i > 0) { made.Append(','); }
                    Write(items[i], made);
                }
                made.Append(']');
                return;
            }
            if (value is Undefined) { throw new EvaluationException("the value is undefined"); }
            made.Append(Convert.ToString(value, CultureInfo.InvariantCulture));
        }

        private static void WriteText(string text, StringBuilder made)
        {
            made.Append('"');
            foreach (char c in text)
            {
                if (c == '"' || c == '\\') { made.Append('\\').Append(c); }
                else if (c < ' ' || c > '~') { made.Append("\\u").Append(((int)c).ToString("x4", CultureInfo.InvariantCulture)); }
                else { made.Append(c); }
            }
            made.Append('"');
        }
    }

    public static class Numbers
    {
        // The shortest digits that read back the same, never with an exponent.
        public static string Show(double value)
        {
            if (double.IsNaN(value)) { return "NaN"; }
            if (double.IsInfinity(value)) { return value < 0 ? "-inf" : "inf"; }
            string digits = null;
            for (int precision = 15; precision <= 17; precision++)
            {
                digits = value.ToString("G" + precision, CultureInfo.InvariantCulture);
                if (double.Parse(digits, CultureInfo.InvariantCulture) == value) { break; }
            }
            if (digits.IndexOf('E') >= 0)
            {
                digits = decimal.Parse(digits, NumberStyles.Float, CultureInfo.InvariantCulture).ToString(CultureInfo.InvariantCulture);
            }
            return digits.IndexOf('.') >= 0 ? digits : digits + ".0";
        }
    }
}
