package exam

import (
	"fmt"
	"slices"
	"time"
)

// datesText is the language of the date family.
type datesText struct {
	months, weekdays                  []string // weekdays from Sunday
	layout                            string   // marks day, month, year
	start, days, weeks, back, weekday []string // sentences
	askDate, askDay                   []string
}

// shift moves a date: by days, or to the next weekday strictly after it.
type shift struct {
	days    int
	weekday int // 0 Sunday; -1: none
}

// buildDates shifts a date across the ends of months and years.
func buildDates(d draw, language string, level int) (problem, bool) {
	t := datesTexts[language]
	start := time.Date(d.between(2019, 2039), time.Month(d.between(1, 12)), d.between(1, 28), 0, 0, 0, 0, time.UTC)
	if d.IntN(3) == 0 { // around the end of February
		start = time.Date(d.between(2019, 2039), 2, d.between(22, 28), 0, 0, 0, 0, time.UTC)
	}
	who := d.people(1)[0]
	shown := fill(t.layout, "day", itoa(start.Day()), "month", t.months[start.Month()-1], "year", itoa(start.Year()))
	story := []string{fill(pick(d, t.start), "who", who, "date", shown)}
	at := start
	var shifts []shift
	for range 1 + level/2 {
		s, phrases, n := shift{weekday: -1}, t.days, d.between(3, 20+9*level)
		switch d.IntN(4) {
		case 0:
			phrases, n = t.weeks, d.between(2, 4+level)
			s.days = 7 * n
		case 1:
			phrases, n = t.back, d.between(2, 9+4*level)
			s.days = -n
		case 2:
			phrases, s.weekday = t.weekday, d.IntN(7)
			s.days = (s.weekday-int(at.Weekday())+6)%7 + 1
		default:
			s.days = n
		}
		day := ""
		if s.weekday >= 0 {
			day = t.weekdays[s.weekday]
		}
		story = append(story, fill(pick(d, phrases), "who", who, "n", itoa(n), "day", day))
		at, shifts = at.AddDate(0, 0, s.days), append(shifts, s)
	}
	p := problem{size: len(shifts), story: story, kind: Date, answer: at.Format(time.DateOnly), fields: []string{"ask", pick(d, t.askDate)}}
	p.solve = func() []string {
		y, m, day, _ := walk(start, shifts)
		return one(fmt.Sprintf("%04d-%02d-%02d", y, m, day))
	}
	if d.IntN(3) == 0 {
		p.kind, p.answer, p.fields = Word, t.weekdays[at.Weekday()], []string{"ask", pick(d, t.askDay)}
		p.others = without(t.weekdays, p.answer)
		p.solve = func() []string {
			_, _, _, w := walk(start, shifts)
			return one(t.weekdays[w])
		}
	}
	return p, true
}

func without(list []string, word string) []string {
	return slices.DeleteFunc(slices.Clone(list), func(s string) bool { return s == word })
}

// walk goes day by day with its own calendar.
func walk(start time.Time, shifts []shift) (year, month, day, weekday int) {
	year, month, day = start.Year(), int(start.Month()), start.Day()
	weekday = zeller(year, month, day)
	length := func() int {
		switch month {
		case 4, 6, 9, 11:
			return 30
		case 2:
			if year%4 == 0 && (year%100 != 0 || year%400 == 0) {
				return 29
			}
			return 28
		}
		return 31
	}
	forward := func() {
		weekday = (weekday + 1) % 7
		if day++; day > length() {
			day, month = 1, month+1
		}
		if month > 12 {
			month, year = 1, year+1
		}
	}
	backward := func() {
		weekday = (weekday + 6) % 7
		if day--; day == 0 {
			if month--; month == 0 {
				month, year = 12, year-1
			}
			day = length()
		}
	}
	for _, s := range shifts {
		if s.weekday >= 0 {
			for forward(); weekday != s.weekday; {
				forward()
			}
			continue
		}
		for range s.days {
			forward()
		}
		for range -s.days {
			backward()
		}
	}
	return year, month, day, weekday
}

// zeller is the weekday of a Gregorian date, 0 for Sunday (Zeller's congruence).
func zeller(year, month, day int) int {
	if month < 3 {
		month, year = month+12, year-1
	}
	h := (day + 13*(month+1)/5 + year + year/4 - year/100 + year/400) % 7 // 0 is Saturday
	return (h + 6) % 7
}
