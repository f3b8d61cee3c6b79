package exam

import (
	"fmt"
	"time"
)

// travelText is the language of the journey family.
type travelText struct{ start, leg, rest, distance, arrival []string }

// leg is a part of a journey; a rest has speed 0.
type leg struct{ minutes, speed int }

// clock writes minutes after midnight.
func clock(minutes int) string {
	minutes = ((minutes % 1440) + 1440) % 1440
	return fmt.Sprintf("%02d:%02d", minutes/60, minutes%60)
}

// buildTravel is rate, time and distance over several legs with rests.
func buildTravel(d draw, language string, level int) (problem, bool) {
	t := travelTexts[language]
	who, start := d.people(1)[0], d.between(60, 140)*5
	story := []string{fill(pick(d, t.start), "who", who, "time", clock(start))}
	var legs []leg
	metres, minutes := 0, 0
	for i := range level + 1 {
		l := leg{minutes: d.between(2, 11) * 5, speed: d.between(2, 9) * 12}
		if i > 0 && d.IntN(3) == 0 {
			l = leg{minutes: d.between(5, 25)}
			story = append(story, fill(pick(d, t.rest), "who", who, "n", itoa(l.minutes)))
		} else {
			story = append(story, fill(pick(d, t.leg), "who", who, "n", itoa(l.minutes), "v", itoa(l.speed)))
		}
		legs = append(legs, l)
		metres += l.speed * 1000 * l.minutes / 60
		minutes += l.minutes
	}
	p := problem{size: len(legs), story: story, kind: Clock, answer: clock(start + minutes)}
	p.fields = []string{"ask", fill(pick(d, t.arrival), "who", who)}
	p.solve = func() []string { return one(stepTravel(start, legs).Format("15:04")) }
	switch d.IntN(3) {
	case 0:
		p.kind, p.unit, p.answer = Number, "km", itoa(metres/1000)
		p.solve = func() []string { return one(itoa(minuteByMinute(legs) / 60 / 1000)) }
	case 1:
		p.kind, p.unit, p.answer = Number, "m", itoa(metres)
		p.solve = func() []string { return one(itoa(minuteByMinute(legs) / 60)) }
	}
	if p.kind == Number {
		p.fields = []string{"ask", fill(pick(d, t.distance), "who", who, "unit", p.unit)}
	}
	return p, start+minutes < 1440
}

// stepTravel lets the clock run through the legs.
func stepTravel(start int, legs []leg) time.Time {
	at := time.Date(2000, 1, 1, 0, start, 0, 0, time.UTC)
	for _, l := range legs {
		at = at.Add(time.Duration(l.minutes) * time.Minute)
	}
	return at
}

// minuteByMinute is the distance in sixtieths of a metre, added up minute by minute.
func minuteByMinute(legs []leg) int {
	sum := 0
	for _, l := range legs {
		for range l.minutes {
			sum += l.speed * 1000
		}
	}
	return sum
}
