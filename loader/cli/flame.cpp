// SPDX-License-Identifier: GPL-2.0-only
// The frames of a flame graph; the drawing around them, and what it does in a browser, is flame.svg.
#include "loader/cli/flame.h"

#include <algorithm>
#include <cstdio>
#include <cstring>

extern "C" const char flame_page[], flame_page_end[];

namespace cli {

namespace {

constexpr double width = 1200, row = 18, head = 64, foot = 12, letter = 7;
constexpr double narrowest = 0.05; ///< units of the drawing; what is narrower is left out
constexpr size_t deepest = 300;

struct frame {
    std::map<std::string, frame> inner;
    __u64 count = 0;
};

/// ASCII that XML takes.
std::string xml(std::string_view s) {
    std::string out;
    for (char c : s)
        switch (c) {
        case '<': out += "&lt;"; break;
        case '>': out += "&gt;"; break;
        case '&': out += "&amp;"; break;
        case '"': out += "&quot;"; break;
        default: out += c >= 0x20 && c < 0x7f ? c : '?';
        }
    return out;
}

/// Kernel frames end with _[k]; one name has one colour in every graph.
std::string colour(const std::string &name) {
    unsigned hash = 2166136261u;
    for (char c : name)
        hash = (hash ^ static_cast<unsigned char>(c)) * 16777619u;
    unsigned hue = hash % 30, light = 62 + hash / 31 % 12;
    char text[40];
    snprintf(text, sizeof(text), "hsl(%u,%u%%,%u%%)", name.ends_with("_[k]") ? 195 + hue : 18 + hue, name.ends_with("_[k]") ? 55 : 85, light);
    return text;
}

class drawing {
public:
    drawing(const frame &root, size_t depth) : all_(static_cast<double>(root.count)), bottom_(head + static_cast<double>(depth) * row) {}

    void draw(const std::string &name, const frame &f, double from, size_t depth) {
        double w = share(f.count) * width, x = share(from) * width, y = bottom_ - static_cast<double>(depth + 1) * row;
        if (w < narrowest || depth > deepest)
            return;
        char text[320];
        size_t fits = w > 3 * letter ? static_cast<size_t>((w - 4) / letter) : 0;
        std::string label = fits >= name.size() ? name : fits > 2 ? name.substr(0, fits - 2) + ".." : "";
        snprintf(text, sizeof(text), "<g class=\"frame\" data-from=\"%.0f\" data-count=\"%llu\" data-depth=\"%zu\"><title>%%</title>", from,
                 static_cast<unsigned long long>(f.count), depth);
        std::string title = xml(name) + ": " + std::to_string(f.count) + " (";
        std::string open(text);
        snprintf(text, sizeof(text), "%.2f%%)", 100 * share(f.count));
        out_ += open.replace(open.find('%'), 1, title + text);
        snprintf(text, sizeof(text), "<rect x=\"%.2f\" y=\"%.0f\" width=\"%.2f\" height=\"%.0f\" fill=\"%s\"/><text x=\"%.2f\" y=\"%.0f\">", x, y, w, row - 1,
                 depth ? colour(name).c_str() : "#bbb", x + 3, y + 13);
        out_ += text + xml(label) + "</text></g>\n";
        for (const auto &[inner, g] : f.inner) {
            draw(inner, g, from, depth + 1);
            from += static_cast<double>(g.count);
        }
    }
    const std::string &text() const { return out_; }

private:
    double share(double n) const { return all_ > 0 ? n / all_ : 0; }
    double share(__u64 n) const { return share(static_cast<double>(n)); }

    std::string out_;
    double all_, bottom_;
};

void replace(std::string &page, const char *mark, const std::string &text) {
    for (size_t at = 0; (at = page.find(mark, at)) != std::string::npos; at += text.size())
        page.replace(at, strlen(mark), text);
}

} // namespace

bool write_flame(const char *path, const folded_stacks &stacks, const std::string &title) {
    frame root;
    size_t depth = 1;
    for (const auto &[frames, count] : stacks) {
        frame *at = &root;
        at->count += count;
        for (const std::string &name : frames) {
            at = &at->inner[name];
            at->count += count;
        }
        depth = std::max(depth, std::min(frames.size() + 1, deepest + 1));
    }
    drawing d(root, depth);
    d.draw("all", root, 0, 0);
    std::string page(flame_page, static_cast<size_t>(flame_page_end - flame_page));
    replace(page, "@TITLE@", xml(title));
    replace(page, "@COUNT@", std::to_string(root.count));
    replace(page, "@HEIGHT@", std::to_string(static_cast<unsigned long>(head + static_cast<double>(depth) * row + foot)));
    replace(page, "@FRAMES@", d.text()); // last: names are nobody's marks
    FILE *f = fopen(path, "we");
    if (!f)
        return false;
    bool written = fwrite(page.data(), 1, page.size(), f) == page.size();
    return fclose(f) == 0 && written;
}

} // namespace cli
