package main

import "strings"

func startTexts() {
	start(func() { holdTexts("", "hello", "Grüße, 世界 \U0001F600", "tab\tquote\"back\\slash\nline") })
	start(func() {
		holdOddTexts("\xff\xfe not UTF-8 \xc3", "a\x00b\x00", "\ud7ff\u2028\u0085\x1b[31m", "</script>&")
	})
	start(func() { holdLongText(strings.Repeat("0123456789", 30), strings.Repeat("long ", 50_000)) })
	start(func() { holdBytes([]byte("bytes"), []byte{0, 1, 0xff}, nil, []byte{}, []rune("rünes")) })
	start(func() { holdNamedText("north", direction("")) })
	start(func() { holdSubstring("the quick brown fox", 4, 9) })
	start(func() { holdCutRune(strings.Repeat("ä", 5000) + "!") })
}

type direction string

//go:noinline
func holdTexts(empty, short, wide, escaped string) {
	tell(is("empty", empty), is("short", short), is("wide", wide), is("escaped", escaped),
		is("len(wide)", len(wide)), is("short[1]", short[1]), is("short[1:3]", short[1:3]), is("short[:2]", short[:2]))
	park()
	use(empty, short, wide, escaped)
}

//go:noinline
func holdOddTexts(broken, nul, controls, markup string) {
	tell(is("broken", broken), is("nul", nul), is("controls", controls), is("markup", markup))
	park()
	use(broken, nul, controls, markup)
}

//go:noinline
func holdLongText(medium, long string) int {
	tell(is("medium", medium), is("long", long), is("len(long)", len(long)), is("long[100000:100005]", long[100000:100005]))
	park()
	return len(medium) + strings.Count(long, "l")
}

//go:noinline
func holdBytes(b, binary, none, empty []byte, r []rune) {
	tell(is("b", b), is("binary", binary), is("none", none), is("empty", empty), is("r", r), is("string(b)", string(b)),
		is("len(binary)", len(binary)), is("binary[2]", binary[2]))
	park()
	use(b, binary, none, empty, r)
}

//go:noinline
func holdNamedText(d direction, e direction) {
	tell(is("d", d), is("e", e))
	park()
	use(d, e)
}

//go:noinline
func holdSubstring(text string, from, to int) string {
	part := text[from:to]
	tell(is("part", part), is("text", text), is("from", from), is("to", to), is("len(part)", len(part)))
	park()
	return part + text[to:]
}

//go:noinline
func holdCutRune(text string) string {
	tell(is("text", text))
	park()
	return text + "?"
}
