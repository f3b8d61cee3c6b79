package exam

// German texts of the families that exist in several languages.

var unitsGerman = unitsText{
	start:  []string{"«who» beginnt den Tag mit «amount» Material.", "Im Lager von «who» liegen «amount» Material."},
	add:    []string{"Dann kommen «amount» dazu.", "Eine Lieferung von «amount» wird eingelagert."},
	remove: []string{"Danach werden «amount» ausgegeben.", "Ein Kunde holt «amount» ab."},
	times:  []string{"Dann wächst der Bestand auf das «n»-Fache.", "Durch einen Großeinkauf ist der Bestand «n»-mal so groß wie vorher."},
	share:  []string{"Dann wird der Bestand in «n» gleiche Teile geteilt, und nur ein Teil bleibt.", "Der Bestand wird gleichmäßig auf «n» Standorte verteilt; «who» behält den Anteil eines Standorts."},
}

var unitsSkeletonsGerman = []string{
	"«story»\n\nWie viel ist am Ende übrig, in «unit»?",
	"Bitte prüfe unseren Bestand. «story» Wie groß ist der Endbestand in «unit»?",
	"«story» Für den Bericht wird der Schlussbestand in «unit» gebraucht.",
	"Das ist heute geschehen: «story»\nNenne die verbleibende Menge in «unit».",
	"Kannst du den Bestand ausrechnen? «story» Gesucht ist der Rest in «unit».",
}

var percentGerman = percentText{
	start:     []string{"«who» bestellt Geräte zum Listenpreis von «amount».", "Das Angebot für «who» beginnt bei «amount»."},
	discount:  []string{"Der jeweilige Preis wird um «n» Prozent gesenkt.", "Vom aktuellen Preis gehen «n» % Rabatt ab."},
	surcharge: []string{"Auf den aktuellen Preis kommen «n» % Steuer.", "Der jeweilige Preis steigt um «n» Prozent."},
	coupon:    []string{"Ein Gutschein über «n» wird abgezogen.", "Aus Kulanz werden «n» abgezogen."},
	fee:       []string{"Eine Bearbeitungsgebühr von «n» kommt dazu.", "Der Versand kostet zusätzlich «n»."},
}

var percentSkeletonsGerman = []string{
	"«story» Die Schritte gelten in dieser Reihenfolge. Was ist in EUR zu zahlen? Nur das Ergebnis auf zwei Stellen runden.",
	"Bitte prüfe die Rechnung in der angegebenen Reihenfolge. «story»\nWie hoch ist der Endbetrag in EUR, erst am Ende auf zwei Stellen gerundet?",
	"«story»\n\nBerechne den Endpreis in EUR in dieser Reihenfolge; gerundet wird nur das Ergebnis, auf zwei Stellen.",
	"Ich kann den Preis nicht nachvollziehen, die Reihenfolge zählt. «story» Welcher Endbetrag in EUR ergibt sich (zwei Stellen, erst zum Schluss gerundet)?",
	"Wie viel ist in EUR fällig? «story» Schritt für Schritt rechnen und nur das Ergebnis auf zwei Stellen runden.",
}

var travelGerman = travelText{
	start:    []string{"«who» fährt um «time» Uhr los.", "Um «time» Uhr verlässt «who» das Depot."},
	leg:      []string{"Dann fährt «who» «n» Minuten mit «v» km/h.", "«n» Minuten lang beträgt die Geschwindigkeit «v» km/h."},
	rest:     []string{"Danach macht «who» «n» Minuten Pause.", "Eine geschlossene Schranke kostet «n» Minuten im Stand."},
	distance: []string{"Welche Strecke wird insgesamt zurückgelegt, in «unit»?", "Wie weit fährt «who» insgesamt, in «unit»?"},
	arrival:  []string{"Um wie viel Uhr endet die Fahrt?", "Wann kommt «who» an?"},
}

var travelSkeletonsGerman = []string{
	"«story»\n\n«ask»",
	"Bitte prüfe diesen Fahrtbericht. «story» «ask»",
	"Fahrtenbuch: «story»\n«ask»",
	"Für die Abrechnung fehlt noch eine Angabe. «story» «ask»",
	"«ask» Bekannt ist: «story»",
}

var datesGerman = datesText{
	months:   []string{"Januar", "Februar", "März", "April", "Mai", "Juni", "Juli", "August", "September", "Oktober", "November", "Dezember"},
	weekdays: []string{"Sonntag", "Montag", "Dienstag", "Mittwoch", "Donnerstag", "Freitag", "Samstag"},
	layout:   "«day». «month» «year»",
	start:    []string{"«who» unterschreibt den Vertrag am «date».", "Das Projekt von «who» beginnt am «date»."},
	days:     []string{"Der nächste Schritt ist «n» Tage später fällig.", "Der nächste Meilenstein folgt nach «n» Tagen."},
	weeks:    []string{"Der nächste Schritt ist «n» Wochen später fällig.", "Dann vergehen «n» volle Wochen bis zum nächsten Meilenstein."},
	back:     []string{"Dieser Termin wird um «n» Tage nach vorn verlegt, also früher.", "Im Einvernehmen findet dieser Schritt «n» Tage früher statt."},
	weekday:  []string{"Der folgende Schritt ist am ersten «day» nach diesem Tag, nie am selben Tag.", "Von dort geht es zum nächsten «day», nie am selben Tag."},
	askDate:  []string{"Welches Datum ergibt sich am Ende?", "An welchem Datum endet das?"},
	askDay:   []string{"Auf welchen Wochentag fällt das Ende?", "Welcher Wochentag ergibt sich am Ende?"},
}

var datesSkeletonsGerman = []string{
	"«story»\n\n«ask»",
	"Bitte prüfe den Zeitplan. «story» «ask»",
	"Gregorianischer Kalender, der Anfangstag zählt nicht mit. «story» «ask»",
	"«ask» Hintergrund: «story»",
	"Wir müssen einen Raum buchen. «story»\n«ask»",
}

var zonesGerman = zonesText{
	start: []string{"Paket «who» verlässt «place» («zone») um «time» Uhr Ortszeit.", "Um «time» Uhr Ortszeit startet Paket «who» in «place» («zone»)."},
	hop:   []string{"Der Flug nach «place» («zone») dauert «h» h «m» min.", "Dann wird es nach «place» («zone») geflogen, das dauert «h» h «m» min."},
	wait:  []string{"Dort wartet es «h» h «m» min.", "Der Zwischenhalt dauert «h» h «m» min."},
	ask:   []string{"Wie spät ist es bei der Ankunft in «place» nach dortiger Ortszeit?", "Wann erreicht «who» nach Ortszeit «place»?"},
}

var zonesSkeletonsGerman = []string{
	"«story»\n\n«ask»",
	"Bitte prüfe diese Route. «story» «ask»",
	"In Klammern steht der Abstand zu UTC, er ändert sich nicht. «story» «ask»",
	"«ask» Die Route: «story»",
	"Eine Kundin möchte wissen, wann sie da sein soll. «story»\n«ask»",
}
