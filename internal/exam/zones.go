package exam

import (
	"fmt"
	"time"
)

// zonesText is the language of the time zone family.
type zonesText struct{ start, hop, wait, ask []string }

// hop goes to a place, and is waited for before it begins.
type hop struct{ wait, minutes, offset int }

// offsets in minutes that exist somewhere.
var offsets = []int{-600, -480, -420, -300, -210, -180, -60, 0, 60, 120, 180, 210, 270, 330, 345, 480, 540, 570, 600, 720}

// zone writes an offset from UTC.
func zone(minutes int) string {
	sign := '+'
	if minutes < 0 {
		sign, minutes = '-', -minutes
	}
	return fmt.Sprintf("UTC%c%d:%02d", sign, minutes/60, minutes%60)
}

// buildZones follows a parcel through places whose offsets are told and asks for local time at the end.
func buildZones(d draw, language string, level int) (problem, bool) {
	t, n := zonesTexts[language], 1+(level+1)/2
	towns, zones := d.places(n+1), sample(d, offsets, n+1)
	who, start := d.code(), d.between(0, 287)*5
	story := []string{fill(pick(d, t.start), "who", who, "place", towns[0], "zone", zone(zones[0]), "time", clock(start))}
	at := start - zones[0]
	var hops []hop
	for i := 1; i <= n; i++ {
		h := hop{minutes: d.between(8, 110) * 5, offset: zones[i]}
		if i > 1 {
			h.wait = d.between(2, 40) * 5
			story = append(story, fill(pick(d, t.wait), "who", who, "h", itoa(h.wait/60), "m", itoa(h.wait%60)))
		}
		story = append(story, fill(pick(d, t.hop), "who", who, "place", towns[i], "zone", zone(h.offset), "h", itoa(h.minutes/60), "m", itoa(h.minutes%60)))
		at += h.wait + h.minutes
		hops = append(hops, h)
	}
	return problem{
		size: n, story: story, kind: Clock, answer: clock(at + zones[n]),
		fields: []string{"ask", fill(pick(d, t.ask), "who", who, "place", towns[n])},
		solve: func() []string {
			local := time.Date(2001, 3, 5, 0, start, 0, 0, time.FixedZone("", zones[0]*60))
			for _, h := range hops {
				local = local.Add(time.Duration(h.wait+h.minutes) * time.Minute).In(time.FixedZone("", h.offset*60))
			}
			return one(local.Format("15:04"))
		},
	}, true
}
