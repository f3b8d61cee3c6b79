package exam

// English texts of the five families that exist in several languages.

var unitsTexts = map[string]unitsText{"en": unitsEnglish, "de": unitsGerman, "es": unitsSpanish, "zh": unitsChinese}

var percentTexts = map[string]percentText{"en": percentEnglish, "de": percentGerman, "es": percentSpanish, "zh": percentChinese}

var travelTexts = map[string]travelText{"en": travelEnglish, "de": travelGerman, "es": travelSpanish, "zh": travelChinese}

var datesTexts = map[string]datesText{"en": datesEnglish, "de": datesGerman, "es": datesSpanish, "zh": datesChinese}

var zonesTexts = map[string]zonesText{"en": zonesEnglish, "de": zonesGerman, "es": zonesSpanish, "zh": zonesChinese}

var unitsEnglish = unitsText{
	start:  []string{"«who» starts the day with «amount» of material.", "There is «amount» of material in the store that «who» looks after.", "At opening time «who» has «amount» of material on hand."},
	add:    []string{"Then «amount» more comes in.", "A delivery of «amount» is added.", "After that «who» puts in another «amount»."},
	remove: []string{"Next, «amount» is handed out.", "«who» then gives away «amount».", "A customer takes «amount» of it."},
	times:  []string{"Then the stock grows to «n» times what it was.", "A big purchase makes the stock «n» times as large as before."},
	share:  []string{"Then the stock is divided into «n» equal parts and only one part stays.", "It is split evenly over «n» sites, and «who» keeps the share of one site."},
}

var unitsSkeletons = []string{
	"«story»\n\nHow much is left in the end, in «unit»?",
	"Please check our stock. «story» What is the final amount in «unit»?",
	"«story» I need the closing stock for the report, expressed in «unit».",
	"Here is what happened today: «story»\nState the remaining amount in «unit».",
	"Could you work out the stock for me? «story» How many «unit» remain?",
	"Stock note. «story»\n\nWanted: what is there now, in «unit».",
}

var percentEnglish = percentText{
	start:     []string{"«who» orders equipment with a list price of «amount».", "The quote that «who» received begins at «amount».", "A machine for «who» is offered at «amount»."},
	discount:  []string{"The price at that point is reduced by «n» percent.", "A discount of «n»% is taken off the current price.", "Then «n» percent comes off."},
	surcharge: []string{"A tax of «n»% is added to the current price.", "The price at that point goes up by «n» percent.", "Then «n» percent is put on top."},
	coupon:    []string{"A voucher of «n» is deducted.", "Then «n» is credited for an old complaint.", "The seller subtracts «n» as goodwill."},
	fee:       []string{"A handling fee of «n» is added.", "Delivery adds «n».", "Then «n» for insurance is added."},
}

var percentSkeletons = []string{
	"«story» The steps apply in this order. What has to be paid, in EUR? Round only the final amount to two decimals.",
	"Please verify this invoice, step by step in the order given. «story»\nWhat is the final amount in EUR, rounded once at the end to two decimals?",
	"«story»\n\nEverything happens in the order told. Compute the final price in EUR; do not round before the end, then to two decimals.",
	"I cannot reproduce this price, the order of the steps matters. «story» Which final amount in EUR do you get (two decimals, rounding at the very end)?",
	"Purchase record, in order of events: «story»\nGive the end price in EUR. Keep full precision and round the result to two decimals.",
	"How much is due in EUR? «story» Take one step after the other and round the result, not the steps, to two decimals.",
}

var travelEnglish = travelText{
	start:    []string{"«who» sets off at «time».", "At «time» «who» leaves the depot.", "The tour of «who» begins at «time»."},
	leg:      []string{"Then «who» drives for «n» minutes at «v» km/h.", "For «n» minutes the speed is «v» km/h.", "A stretch of «n» minutes is covered at «v» km/h."},
	rest:     []string{"After that «who» rests for «n» minutes.", "A closed barrier costs «n» minutes standing still.", "«who» stops for «n» minutes to unload."},
	distance: []string{"What distance is covered in total, in «unit»?", "How far does «who» travel altogether, in «unit»?", "Give the length of the whole journey in «unit»."},
	arrival:  []string{"At what time does the journey end?", "When does «who» arrive?", "What does the clock show at the end?"},
}

var travelSkeletons = []string{
	"«story»\n\n«ask»",
	"Please check this trip report. «story» «ask»",
	"Driver's log: «story»\n«ask»",
	"For the expense claim I need one figure. «story» «ask»",
	"«ask» This is what we know: «story»",
	"The tracker was broken, so we reconstruct the tour. «story»\n\n«ask»",
}

var datesEnglish = datesText{
	months:   []string{"January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December"},
	weekdays: []string{"Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"},
	layout:   "«day» «month» «year»",
	start:    []string{"«who» signs the contract on «date».", "The project of «who» begins on «date».", "The first letter to «who» is dated «date»."},
	days:     []string{"The next step is due «n» days later.", "Then «n» days go by until the next milestone.", "The next milestone follows after «n» days."},
	weeks:    []string{"The next step is due «n» weeks later.", "Then «n» full weeks go by until the next milestone."},
	back:     []string{"That step is then moved «n» days earlier.", "By agreement that date is brought forward by «n» days."},
	weekday:  []string{"The following step takes place on the first «day» strictly after that date.", "From there one goes to the next «day», never the same day."},
	askDate:  []string{"What is the final date?", "On which date does this end?", "Which date results?"},
	askDay:   []string{"Which day of the week is the final date?", "On which weekday does this end?", "What weekday results?"},
}

var datesSkeletons = []string{
	"«story»\n\n«ask»",
	"Please check the schedule. «story» «ask»",
	"Gregorian calendar, day counts exclude the starting day. «story» «ask»",
	"«ask» Background: «story»",
	"We need to book a room and must know the day. «story»\n«ask»",
	"Timeline: «story»\n\n«ask»",
}

var zonesEnglish = zonesText{
	start: []string{"Parcel «who» leaves «place» («zone») at «time» local time.", "At «time» local time parcel «who» departs from «place», where clocks run at «zone»."},
	hop:   []string{"The flight to «place» («zone») takes «h» h «m» min.", "It is then flown to «place» («zone»), which lasts «h» h «m» min."},
	wait:  []string{"It waits there for «h» h «m» min.", "The stopover lasts «h» h «m» min."},
	ask:   []string{"What is the local time in «place» when it arrives?", "When does «who» reach «place», in local time there?", "Give the local time of arrival in «place»."},
}

var zonesSkeletons = []string{
	"«story»\n\n«ask»",
	"Please verify this routing. «story» «ask»",
	"Offsets from UTC are in brackets and do not change. «story» «ask»",
	"«ask» Route: «story»",
	"A customer wants to know when to be there. «story»\n«ask»",
	"Shipment note: «story»\n\n«ask»",
}
