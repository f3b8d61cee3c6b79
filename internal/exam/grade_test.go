package exam

import (
	"slices"
	"strings"
	"testing"
)

// The answer itself, and the answer as the instruction asks for it, are right in every family.
func TestOwnAnswerIsRight(t *testing.T) {
	for _, family := range Families() {
		for seed := range 200 {
			difficulty := []int{1, 4, 7, 10}[seed%4]
			item := must(t, family.Name, difficulty, seed, Options{})
			replies := []string{item.Answer}
			if item.Kind != Format {
				replies = append(replies, "Some work: 12 + 7 = 19.\n\n**Answer:** "+item.Answer, "Antwort: **"+item.Answer+"**", "答案："+item.Answer, "Respuesta: "+item.Answer+"\n")
			}
			if item.Unit != "" {
				replies = append(replies, "Answer: "+item.Answer+" "+item.Unit)
			}
			for _, reply := range replies {
				if item.Language != "en" && item.Kind == Number {
					reply = strings.ReplaceAll(reply, item.Answer, localDecimal(item.Answer, item.Language))
				}
				if g := Grade(item, reply); g.Verdict != Right {
					t.Fatalf("%s %d seed %d: %q is %+v, want %q", family.Name, difficulty, seed, reply, g, item.Answer)
				}
			}
		}
	}
}

// The answer of another seed is right only where it is the same answer.
func TestOtherAnswersAreNotRight(t *testing.T) {
	every(t, 5, func(t *testing.T, item Item, _ Options) {
		other := must(t, item.Family, item.Difficulty, 50, Options{})
		if item.Kind == Choice {
			for i := range item.Choices {
				letter := letters[i : i+1]
				if g := Grade(item, letter); (g.Verdict == Right) != (letter == item.Answer) {
					t.Fatalf("letter %s is %+v, want %s", letter, g, item.Answer)
				}
			}
			return
		}
		if item.Kind != Format && other.Kind == item.Kind && other.Answer != item.Answer {
			if g := Grade(item, "Answer: "+other.Answer); g.Verdict == Right {
				t.Fatalf("%q is right for %q", other.Answer, item.Answer)
			}
		}
		for _, reply := range []string{"", "\n", "I cannot help with that.", "Answer:", "Answer: ?"} {
			if g := Grade(item, reply); g.Verdict == Right {
				t.Fatalf("%q is right", reply)
			}
		}
	})
}

func TestGradeSpellings(t *testing.T) {
	for _, c := range []struct {
		name  string
		item  Item
		right []string
		wrong []string // wrong or unparsed
	}{
		{"number", Item{Kind: Number, Language: "en", Answer: "1234.5", Unit: "EUR"}, []string{
			"1234.5", "1,234.5", "1,234.50", "1 234.50", "1'234.5", "1_234.5", "EUR 1,234.50", "€1,234.50", "1234.5 EUR", "1234.50 euros", "**1234.5**",
			"The answer is 1234.5.", "Answer: 1,234.50 EUR", "answer = 1234.5", "**Answer:** 1234.5", "**Final answer: 1234.50**", `\boxed{1234.5}`, "$1234.5$",
			"5 + 7 = 12\n1234.5", "total = 1000 + 234.5 = 1234.5", "+1234.5", "Answer:\n1234.5", "```\n1234.5\n```", "<think>maybe 7</think>\n1234.5", "- 1234.5", "Answer: １２３４．５", "\u00a01\u00a0234.5",
		}, []string{
			"1234", "1234.51", "12345", "-1234.5", "1234,5", "1.234.5", "12,34.5", "1234.5 or 1235.5", "not 1234.5", "The answer is not 1234.5", "1234.5 kg", "$1234.5", "1234.5 USD", "1234.5%",
			"1234.5 thousand", "1234.5 million", "1234.5k", "1234.5e3", "1.2345e3", "1234.5/2", "1234.5 x 10", "1234.5?", "Answer: 1234.5\nWait, it is 1300", "Answer: 7\nor 1234.5", "Answer: 1234.5. Answer: 7", "1234.5-1235", "11234.5", "1234.55", "0x1234.5", "v1234.5", "1234.5.6",
			"Answer: 1235", "1234.5 1234.6", "Maybe 1234.5", "either 1234.5",
		}},
		{"german", Item{Kind: Number, Language: "de", Answer: "1234.5"}, []string{"1234,5", "1.234,50", "1 234,5", "Antwort: 1.234,50", "Die Antwort lautet 1234,5.", "1234.5", "1,234.50"}, []string{"1,2345", "12.345", "1234", "nicht 1234,5", "kein 1234,5", "1.234.5"}},
		{"german whole", Item{Kind: Number, Language: "de", Answer: "1234"}, []string{"1.234", "1234", "1234,00", "1234 "}, []string{"1,234", "12.34"}},
		{"small", Item{Kind: Number, Language: "en", Answer: "0.5", Unit: "km"}, []string{"0.5", "0.50 km", "0.5 kilometres", "Answer: 0.5km"}, []string{"0.5 m", "0,5", "5", ".5.", "500 m", "0.5 miles", "05"}},
		{"chinese", Item{Kind: Number, Language: "zh", Answer: "320", Unit: "g"}, []string{"320", "320克", "答案：320", "答案是320克。", "**答案：** 320 g"}, []string{"320千克", "320万", "不是320", "3,20", "320公斤"}},
		{"bmi", Item{Kind: Number, Language: "en", Answer: "23.4", Unit: "kg/m2"}, []string{"23.4 kg/m2", "23.4 kg/m²", "Answer: 23.4 kg/m^2", "23.40"}, []string{"23.4 kg", "23.41", "24"}},
		{"date", Item{Kind: Date, Language: "en", Answer: "2027-03-14"}, []string{
			"2027-03-14", "2027/3/14", "14 March 2027", "March 14, 2027", "Mar 14 2027", "14th of March 2027", "Sunday, 14 March 2027", "14.03.2027", "03/14/2027", "Answer: **2027-03-14**", "2027年3月14日",
		}, []string{"2027-03-15", "14 March", "2027-14-03", "2027-03-14 or 2027-03-15", "2027-02-30", "14 Marchember 2027", "March 2027", "not 2027-03-14"}},
		{"ambiguous date", Item{Kind: Date, Language: "en", Answer: "2027-03-04"}, []string{"4 March 2027"}, []string{"03/04/2027", "04/03/2027"}},
		{"spanish date", Item{Kind: Date, Language: "es", Answer: "2027-03-04"}, []string{"4 de marzo de 2027", "04/03/2027", "Respuesta: 2027-03-04"}, []string{"03/04/2027", "4 de mayo de 2027"}},
		{"german date", Item{Kind: Date, Language: "de", Answer: "2027-03-04"}, []string{"4. März 2027", "4.3.2027", "04.03.2027"}, []string{"3.4.2027", "4. Mai 2027"}},
		{"clock", Item{Kind: Clock, Language: "en", Answer: "14:05"}, []string{"14:05", "2:05 pm", "2:05 p.m.", "Answer: 14:05", "14:05:00", "14.05", "14h05", "**14:05** local time", "14:05 (UTC+2:00)", "14:05 (+1 day)", "14点05分"}, []string{"2:05", "02:05", "14:06", "14:05 or 15:05", "2:05 am", "14:5", "14", "25:05", "14:05-15:05", "114:05"}},
		{"word", Item{Kind: Word, Language: "en", Answer: "Hana"}, []string{"Hana", "hana", "**Hana**", "Answer: Hana.", "The answer is Hana", "\"Hana\""}, []string{"Hana or Imran", "Hanan", "not Hana", "Imran", "Hana, Imran", "Johana"}},
		{"weekday", Item{Kind: Word, Language: "de", Answer: "Samstag"}, []string{"Samstag", "Sonnabend", "Es ist ein Samstag.", "Antwort: Sa"}, []string{"Sonntag", "Samstag oder Sonntag", "Samstag, Sonntag"}},
		{"weekday zh", Item{Kind: Word, Language: "zh", Answer: "星期日"}, []string{"星期日", "周日", "答案：星期天", "最后一天是星期日。"}, []string{"星期一", "星期日或星期一", "日"}},
		{"voucher", Item{Kind: Word, Language: "en", Answer: "KX-4821"}, []string{"KX-4821", "Voucher KX-4821", "Answer: kx-4821"}, []string{"KX-482", "KX-48211", "4821", "KX-4821 KX-4822"}},
		{"list", Item{Kind: List, Language: "en", Answer: "Aino, Hana, Tariq"}, []string{"Aino, Hana, Tariq", "aino,hana,tariq", "Aino, Hana and Tariq", "Aino, Hana, and Tariq", "Answer: Aino > Hana > Tariq", "Answer:\n1. Aino\n2. Hana\n3. Tariq", "Answer: **Aino, Hana, Tariq**"}, []string{"Aino, Tariq, Hana", "Aino, Hana", "Aino, Hana, Tariq, Zoran", "Hana", "Aino Hana Tariq"}},
		{"text", Item{Kind: Text, Language: "en", Answer: "abc def"}, []string{"abc def", "`abc def`", "\"abc def\"", "Answer: abc def", "abc  def", "The result is abc def."}, []string{"abcdef", "abc deg", "Abc def", "def abc", "abc def ghi"}},
		{"brackets", Item{Kind: Text, Language: "en", Answer: ")]}"}, []string{")]}", "`)]}`", ") ] }", "Answer: )]}", "**)]}**"}, []string{")]", ")]}}", "}])", "])}"}},
		{"yes", Item{Kind: YesNo, Language: "en", Answer: "no"}, []string{"no", "No.", "**No**", "No, it does not match", "Answer: no"}, []string{"yes", "yes and no", "none", "It does not match", "Answer: Yes"}},
		{"choice", Item{Kind: Choice, Language: "en", Answer: "B", Choices: []string{"12", "13", "14"}}, []string{"B", "b", "(B)", "B.", "B)", "B) 13", "**B**", "Answer: B", "The correct option is B.", "Option B", "13", "Answer: (B) 13"}, []string{"A", "C) 13", "B) 12", "D", "A or B", "not B", "12", "B, C", "Because", "AB"}},
	} {
		for _, reply := range c.right {
			if g := Grade(c.item, reply); g.Verdict != Right {
				t.Errorf("%s: %q is %+v, want right", c.name, reply, g)
			}
		}
		for _, reply := range c.wrong {
			if g := Grade(c.item, reply); g.Verdict == Right {
				t.Errorf("%s: %q is right", c.name, reply)
			}
		}
	}
}

func TestGradeFormat(t *testing.T) {
	for seed := range 50 {
		item := must(t, "format", 10, seed, Options{})
		if g := Grade(item, item.Answer); g.Verdict != Right || g.Violations != 0 {
			t.Fatalf("example: %+v", g)
		}
		if g := Grade(item, ""); g.Violations != len(item.Rules) {
			t.Fatalf("empty reply: %+v", g)
		}
		for _, spoilt := range []string{item.Answer + "!", item.Answer + "\nmore", "Sure, here it is:\n" + item.Answer, strings.ToUpper(item.Answer), item.Answer + " 7"} {
			if g := Grade(item, spoilt); g.Verdict != Wrong || g.Violations == 0 {
				t.Fatalf("%q: %+v", spoilt, g)
			}
		}
	}
	if (Rule{Name: "new rule"}).kept("anything") {
		t.Error("an unknown rule is kept")
	}
}

// bare is a text without anything a spelling may add.
func bare(s string) string {
	s = strings.ToLower(ascii(s))
	return strings.Map(func(r rune) rune {
		if strings.ContainsRune(" .,'_*`:-/\n\r\t0", r) {
			return -1
		}
		return r
	}, s)
}

// FuzzGrade holds that nothing panics and that what is graded right contains the answer.
func FuzzGrade(f *testing.F) {
	items := []Item{
		{Kind: Number, Language: "en", Answer: "1234.5", Unit: "EUR"},
		{Kind: Number, Language: "de", Answer: "78.25"},
		{Kind: Number, Language: "zh", Answer: "31", Unit: "g"},
		{Kind: Word, Language: "en", Answer: "KX-4821"},
		{Kind: List, Language: "en", Answer: "Aino, Hana"},
		{Kind: Text, Language: "en", Answer: "abc def"},
		{Kind: Text, Language: "en", Answer: ")]}"},
		{Kind: YesNo, Language: "en", Answer: "yes"},
		{Kind: Clock, Language: "en", Answer: "11:53"},
		{Kind: Date, Language: "de", Answer: "2127-11-13"},
		{Kind: Choice, Language: "en", Answer: "B", Choices: []string{"bolt", "bulb"}},
		{Kind: Format, Rules: []Rule{{Name: ruleTimes, Word: "amber", N: 1}}, Answer: "amber"},
		{Kind: Word, Language: "en", Answer: "Sunday"},
	}
	needs := []string{"12345", "7825", "31", "kx4821", "aino", "abcdef", ")]}", "yes", "53", "2127", "b", "amber", "sun"}
	for i := range items {
		f.Add(i, items[i].Answer)
		f.Add(i, "The answer is **"+items[i].Answer+"**.\n")
		f.Add(i, "Answer: 1,2345.\n=1.234,5 € or "+items[i].Answer)
	}
	f.Fuzz(func(t *testing.T, which int, reply string) {
		if which < 0 || which >= len(items) {
			return
		}
		if g := Grade(items[which], reply); g.Verdict == Right && !strings.Contains(bare(reply), needs[which]) {
			t.Errorf("%q is right for %q", reply, items[which].Answer)
		}
	})
}

func TestGradeRefusesHugeReplies(t *testing.T) {
	if g := Grade(Item{Kind: Number, Answer: "1"}, strings.Repeat(" ", maxReply)+"1"); g.Verdict != Unparsed {
		t.Errorf("%+v", g)
	}
	deep := strings.Repeat("*", maxReply/2) + "1"
	if g := Grade(Item{Kind: Number, Answer: "1"}, deep); !slices.Contains([]Verdict{Right, Unparsed}, g.Verdict) {
		t.Errorf("%+v", g)
	}
}
