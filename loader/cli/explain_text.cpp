// SPDX-License-Identifier: GPL-2.0-only
// Explanations as text and JSON: values in words, what to underline in a source line.
#include "loader/cli/explain.h"

#include <cctype>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <unistd.h>

namespace cli {

// ---- values in words ----

namespace {

/// "kind(a=1,b=2)": the kind, and the items at depth 0 of the parentheses.
struct parsed_value {
    std::string kind;
    std::vector<std::string> items;
    std::string item(const char *key) const {
        size_t n = strlen(key);
        for (const std::string &i : items)
            if (i.size() > n && i[n] == '=' && !i.compare(0, n, key))
                return i.substr(n + 1);
        return "";
    }
};

parsed_value parse_value(const std::string &value) {
    parsed_value out;
    size_t open = value.find('(');
    out.kind = value.substr(0, open);
    if (open == std::string::npos)
        return out;
    int depth = 0;
    std::string one;
    for (size_t i = open + 1; i < value.size() && depth >= 0; i++) {
        char c = value[i];
        depth += c == '(' ? 1 : c == ')' ? -1 : 0;
        if ((c == ',' && depth == 0) || depth < 0) {
            if (!one.empty())
                out.items.push_back(one);
            one.clear();
        } else {
            one += c;
        }
    }
    return out;
}

/// Chained bounds, "smin=umin=3", have several names in front of one number.
std::string bound(const parsed_value &v, const char *key) {
    for (const std::string &i : v.items) {
        size_t last = i.rfind('=');
        std::string names = "=" + i.substr(0, last == std::string::npos ? 0 : last) + "=";
        if (last != std::string::npos && names.find(std::string("=") + key + "=") != std::string::npos)
            return i.substr(last + 1);
    }
    return "";
}

/// The log shows large numbers in hexadecimal, also negative ones.
std::string in_decimal(const std::string &number) {
    unsigned long long n = strtoull(number.c_str(), nullptr, 0);
    return number.starts_with("0x") && n >> 63 ? std::to_string(static_cast<long long>(n)) : number;
}

std::string describe_scalar(const parsed_value &v) {
    std::string lo = in_decimal(bound(v, "smin")), hi = in_decimal(bound(v, "smax")), umin = bound(v, "umin"), umax = bound(v, "umax");
    if (v.items.empty())
        return "any number";
    if (!umax.empty() && lo.empty())
        return "a number from " + (umin.empty() ? "0" : umin) + " to " + umax;
    if (!lo.empty() && !hi.empty())
        return "a number from " + lo + " to " + hi;
    if (!hi.empty())
        return "a signed number up to " + hi + ", or negative";
    if (!lo.empty())
        return "a signed number from " + lo + " up";
    if (!umin.empty())
        return "a number from " + umin + " up, unsigned";
    std::string low32 = bound(v, "umax32");
    return low32.empty() ? "a number without known bounds" : "a number whose low 32 bits are at most " + low32;
}

std::string displacement(const parsed_value &v) {
    std::string off = v.item("off"), more;
    if (!off.empty())
        more = off[0] == '-' ? ", " + off.substr(1) + " bytes in front of its start" : ", " + off + " bytes behind its start";
    std::string lo = bound(v, "smin"), hi = bound(v, "smax"), umax = bound(v, "umax");
    if (!v.item("var_off").empty() || !hi.empty() || !umax.empty())
        more += umax.empty() && hi.empty() ? ", moved by a number without bound" : ", moved by up to " + (hi.empty() ? umax : hi);
    return more;
}

std::string describe_bytes(const std::string &name, const std::string &value) {
    if (value.empty() || value == "????????" || value == "?")
        return "never written";
    std::string unwritten;
    int slot = atoi(name.c_str() + 2), size = static_cast<int>(value.size());
    for (int b = 0; b < size; b++) { // from the lowest address on, which the log shows last
        if (value[static_cast<size_t>(size - 1 - b)] != '?')
            continue;
        int end = b;
        while (end + 1 < size && value[static_cast<size_t>(size - 2 - end)] == '?')
            end++;
        unwritten += (unwritten.empty() ? "" : ", ") + std::to_string(slot + b) + (end > b ? " to " + std::to_string(slot + end) : "");
        b = end;
    }
    std::string what = value.find('m') != std::string::npos ? "data" : "zeros";
    return unwritten.empty() ? what : what + "; never written: bytes " + unwritten;
}

struct pointer_word {
    const char *kind, *words;
};
constexpr pointer_word pointer_words[] = {
    {"ctx", "the context"},          {"map_ptr", "a map"},
    {"map_value", "a pointer to a map's value"}, {"map_key", "a pointer to a map's key"},
    {"pkt", "a pointer into the packet"}, {"pkt_meta", "a pointer into the packet's metadata"},
    {"pkt_end", "the packet's end"}, {"mem", "a pointer to memory"},
    {"ringbuf_mem", "a pointer to a ring buffer record"}, {"alloc_mem", "a pointer to allocated memory"},
    {"sock", "a socket"},            {"sock_common", "a socket"},
    {"tcp_sock", "a TCP socket"},    {"func", "a function"},
    {"buf", "a pointer to a buffer"}, {"arena", "a pointer into the arena"},
};

std::string describe_pointer(const parsed_value &v) {
    std::string kind = v.kind, tail;
    size_t null = kind.rfind("_or_null");
    if (null != std::string::npos) {
        kind.resize(null);
        tail = ", or NULL";
    }
    std::string words;
    for (const pointer_word &w : pointer_words)
        if (kind == w.kind)
            words = w.words;
    if (words.empty() && kind.find("ptr_") != std::string::npos)
        words = (kind.starts_with("untrusted") ? "an untrusted pointer to kernel structure " : "a pointer to kernel structure ") +
                kind.substr(kind.find("ptr_") + 4);
    if (words.empty())
        words = "a pointer of kind " + kind;
    if (!v.item("map").empty())
        words += " " + v.item("map");
    if (!v.item("vs").empty() && kind == "map_value")
        words += " (" + v.item("vs") + " bytes)";
    if (!v.item("sz").empty())
        words += " of " + v.item("sz") + " bytes";
    words += displacement(v) + tail;
    if (!v.item("r").empty())
        words += "; " + v.item("r") + " bytes from the start on are known to be there";
    return words;
}

} // namespace

std::string describe_value(const std::string &name, const std::string &value) {
    bool slot = name.starts_with("fp");
    if (name == "refs")
        return "references that are held (ids)";
    if (slot && value.find_first_not_of("?m0r") == std::string::npos && value.size() <= 8 && value.size() != 1)
        return describe_bytes(name, value);
    if (value.empty())
        return slot ? "never written" : "no value: never written on this way, or lost in a call";
    if (isdigit(static_cast<unsigned char>(value[0])) || value[0] == '-')
        return "the number " + value;
    if (value.starts_with("fp"))
        return "a pointer to the stack, " + (value == "fp0" ? std::string("its top") : "at " + value);
    parsed_value v = parse_value(value);
    return v.kind == "scalar" ? describe_scalar(v) : describe_pointer(v);
}

// ---- what to underline ----

namespace {

bool is_word(char c) { return isalnum(static_cast<unsigned char>(c)) || c == '_'; }

/// Behind the bracket that closes the one at `at`; the line's end if none does.
size_t behind_bracket(const std::string &s, size_t at) {
    int depth = 0;
    for (; at < s.size(); at++) {
        depth += s[at] == '(' || s[at] == '[' || s[at] == '{' ? 1 : s[at] == ')' || s[at] == ']' || s[at] == '}' ? -1 : 0;
        if (depth == 0)
            return at + 1;
    }
    return s.size();
}

/// Behind a primary expression with its members, indices and calls: `*p`, `a->b[i].c`, `f(x)`.
size_t behind_operand(const std::string &s, size_t at) {
    while (at < s.size() && strchr("*&!~-", s[at]))
        at++;
    if (at < s.size() && s[at] == '(')
        at = behind_bracket(s, at);
    while (at < s.size() && is_word(s[at]))
        at++;
    for (;;) {
        if (at < s.size() && (s[at] == '[' || s[at] == '('))
            at = behind_bracket(s, at);
        else if (at < s.size() && s[at] == '.')
            at++;
        else if (at + 1 < s.size() && s[at] == '-' && s[at + 1] == '>')
            at += 2;
        else
            break;
        while (at < s.size() && is_word(s[at]))
            at++;
    }
    return at;
}

/// The operand that ends in front of `at`: what an assignment writes to.
size_t operand_before(const std::string &s, size_t at) {
    size_t first = s.find_first_not_of(" \t"), begin = at;
    for (size_t i = first; i < at; i++) // the last place from where an operand reaches the operator
        if (i == first || !is_word(s[i - 1])) {
            size_t end = behind_operand(s, i);
            if (end >= at - 1 && end <= at && end > i && begin == at)
                begin = i;
        }
    return begin;
}

/// `=`, `+=` and so on, `++`, `--`: what matters stands in front of it.
bool changes_operand_before(const std::string &s, size_t at) {
    if (at == 0 || at + 1 >= s.size())
        return false;
    if ((s[at] == '+' || s[at] == '-') && s[at + 1] == s[at])
        return is_word(s[at - 1]) || s[at - 1] == ']' || s[at - 1] == ')';
    size_t eq = s.find_first_not_of("+-*/%&|^<>", at);
    return eq != std::string::npos && eq - at <= 2 && s[eq] == '=' && (eq + 1 >= s.size() || s[eq + 1] != '=') &&
           !(eq - at == 1 && (s[at] == '<' || s[at] == '>'));
}

/// A statement's keyword at `at`: where its expression begins and ends.
bool find_expression(const std::string &s, size_t at, size_t *begin, size_t *end) {
    static const char *const words[] = {"return", "if", "while", "for", "switch"};
    for (const char *w : words) {
        size_t n = strlen(w);
        if (s.compare(at, n, w) || (at + n < s.size() && is_word(s[at + n])))
            continue;
        *begin = s.find_first_not_of(" \t", at + n);
        if (*begin == std::string::npos || s[*begin] == ';')
            return false;
        if (w == words[0])
            *end = s.find(';', *begin);
        else
            *end = behind_bracket(s, *begin);
        *end = *end == std::string::npos ? s.size() : *end;
        return true;
    }
    return false;
}

/// Argument `n` of the call whose bracket opens at `open`.
bool find_argument(const std::string &s, size_t open, int n, size_t *begin, size_t *end) {
    int depth = 0;
    size_t from = open + 1;
    for (size_t i = open; i < s.size(); i++) {
        depth += s[i] == '(' || s[i] == '[' || s[i] == '{' ? 1 : s[i] == ')' || s[i] == ']' || s[i] == '}' ? -1 : 0;
        if ((s[i] == ',' && depth == 1) || depth == 0) {
            if (n-- == 0) {
                *begin = s.find_first_not_of(" \t", from);
                *end = i;
                return *begin < i;
            }
            from = i + 1;
        }
        if (depth == 0)
            return false;
    }
    return false;
}

} // namespace

void underline(place &p, const std::string &callee, int argument) {
    const std::string &s = p.source;
    p.begin = p.length = 0;
    if (s.empty() || p.column == 0 || p.column > s.size())
        return;
    size_t at = p.column - 1, end;
    if (!callee.empty()) {
        size_t call = s.find(callee, at);
        call = call == std::string::npos ? s.find(callee) : call;
        if (call != std::string::npos) {
            p.begin = call;
            size_t open = call + callee.size(), from;
            p.length = behind_operand(s, call) - call;
            if (argument >= 0 && open < s.size() && s[open] == '(' && find_argument(s, open, argument, &from, &end)) {
                p.begin = from;
                p.length = end - from;
            }
            return;
        }
    }
    if (find_expression(s, at, &p.begin, &end)) {
        p.length = end - p.begin;
    } else if (changes_operand_before(s, at)) {
        size_t stop = at;
        while (stop > 0 && isspace(static_cast<unsigned char>(s[stop - 1])))
            stop--;
        p.begin = operand_before(s, stop);
        p.length = stop - p.begin;
    } else {
        end = behind_operand(s, at);
        p.begin = at;
        p.length = end - at;
    }
    if (p.length == 0)
        p.begin = at, p.length = 1;
}

// ---- text ----

namespace {

bool colours() {
    static const bool on = isatty(STDOUT_FILENO) && !getenv("NO_COLOR");
    return on;
}
const char *bold_red() { return colours() ? "\033[1;31m" : ""; }
const char *bold() { return colours() ? "\033[1m" : ""; }
const char *plain() { return colours() ? "\033[0m" : ""; }

std::string short_file(const std::string &file) { return file.substr(file.rfind('/') + 1); }

/// Blanks under the text up to `begin`, tabs kept, then the mark.
std::string mark_under(const std::string &text, size_t begin, size_t length) {
    std::string out;
    for (size_t i = 0; i < begin && i < text.size(); i++)
        out += text[i] == '\t' ? '\t' : ' ';
    return out + "^" + std::string(length > 1 ? length - 1 : 0, '~');
}

void print_source(const place &p) {
    int width = snprintf(nullptr, 0, "%u", p.line);
    printf("    %*s--> %s:%u:%u (instruction %d)\n", width, "", short_file(p.file).c_str(), p.line, p.column, p.insn);
    printf("    %*s |\n", width, "");
    printf("    %u | %s\n", p.line, p.source.c_str());
    if (p.length)
        printf("    %*s | %s%s%s\n", width, "", bold_red(), mark_under(p.source, p.begin, p.length).c_str(), plain());
}

void print_insn(const place &p) {
    std::string head = "    " + std::to_string(p.insn) + ": ";
    printf("%s%s\n", head.c_str(), p.text.c_str());
    if (p.text_length)
        printf("%*s%s%s%s\n", static_cast<int>(head.size()), "", bold_red(), mark_under(p.text, p.text_begin, p.text_length).c_str(), plain());
}

std::string trimmed(const std::string &s) {
    size_t from = s.find_first_not_of(" \t");
    return from == std::string::npos ? "" : s.substr(from);
}

/// A source line's heading where it changes, then the instruction and what it does.
void print_waypoint(const waypoint &w, std::string &line_before) {
    std::string line = w.at.source.empty() ? "" : short_file(w.at.file) + ":" + std::to_string(w.at.line) + "  " + trimmed(w.at.source);
    if (!line.empty() && line != line_before)
        printf("      %s\n", line.c_str());
    line_before = line;
    printf("        %d: %s\n            %s", w.at.insn, w.at.text.c_str(), w.what.c_str());
    if (w.times > 1)
        printf(" (the last of %u times)", w.times);
    putchar('\n');
}

} // namespace

void print_explanation(const explanation &e) {
    printf("    %serror: %s%s%s\n", bold_red(), plain(), bold(), e.title.c_str());
    fputs(plain(), stdout);
    if (!e.at.source.empty())
        print_source(e.at);
    if (e.at.insn >= 0)
        print_insn(e.at);
    if (e.message != e.title)
        printf("    the verifier says: %s\n", e.message.c_str());
    if (!e.required.empty())
        printf("    required: %s\n", e.required.c_str());
    for (const fact &f : e.known)
        printf("    known:    %s = %s: %s\n", f.name.c_str(), f.value.c_str(), f.meaning.c_str());
    if (!e.path.empty()) {
        printf("    the path that led there (%zu instructions%s):\n", e.steps, e.left_out ? "; its end" : "");
        std::string line;
        for (const waypoint &w : e.path)
            print_waypoint(w, line);
    }
    if (!e.advice.empty())
        printf("    %swhat to change:%s %s\n", bold(), plain(), e.advice.c_str());
}

// ---- JSON ----

namespace {

std::string json_place(const place &p) {
    std::string out = "{\"insn\": " + std::to_string(p.insn) + ", \"text\": " + json_string(p.text);
    if (p.text_length)
        out += ", \"text_begin\": " + std::to_string(p.text_begin) + ", \"text_length\": " + std::to_string(p.text_length);
    if (!p.source.empty())
        out += ", \"file\": " + json_string(p.file) + ", \"line\": " + std::to_string(p.line) + ", \"column\": " + std::to_string(p.column) +
               ", \"source\": " + json_string(p.source) + ", \"begin\": " + std::to_string(p.begin) + ", \"length\": " + std::to_string(p.length);
    return out + "}";
}

} // namespace

std::string explanation_json(const explanation &e) {
    std::string out = "{\"title\": " + json_string(e.title) + ", \"message\": " + json_string(e.message);
    if (!e.required.empty())
        out += ", \"required\": " + json_string(e.required);
    if (!e.advice.empty())
        out += ", \"advice\": " + json_string(e.advice);
    if (e.at.insn >= 0)
        out += ", \"at\": " + json_place(e.at);
    out += ", \"known\": [";
    for (size_t i = 0; i < e.known.size(); i++)
        out += std::string(i ? ", " : "") + "{\"name\": " + json_string(e.known[i].name) + ", \"value\": " + json_string(e.known[i].value) +
               ", \"meaning\": " + json_string(e.known[i].meaning) + "}";
    out += "], \"path_insns\": " + std::to_string(e.steps) + ", \"path_left_out\": " + std::to_string(e.left_out) + ", \"path\": [";
    for (size_t i = 0; i < e.path.size(); i++)
        out += std::string(i ? ", " : "") + "{\"what\": " + json_string(e.path[i].what) + ", \"times\": " + std::to_string(e.path[i].times) +
               ", \"at\": " + json_place(e.path[i].at) + "}";
    return out + "]}";
}

} // namespace cli
