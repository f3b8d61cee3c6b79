package exam

// Paraphrases of the families that exist in English only.

var scheduleSkeletons = []string{
	"Busy times today:\n«body»\n\nWhen is the earliest start, between 08:00 and 18:00, of a meeting of «length» minutes in which nobody is busy? One may start the minute another appointment ends.",
	"We need «length» minutes together, not before 08:00 and over by 18:00. These appointments are fixed, and a meeting can begin as soon as one ends:\n«body»\n\nWhat is the earliest possible start?",
	"Calendar export (occupied times):\n«body»\n\nFind the first «length» minute gap common to all from 08:00 to 18:00, back to back with other appointments if need be. When does it begin?",
	"Please book a call of «length» minutes for everybody, as early as possible from 08:00 on and within the day that ends at 18:00. Appointments may touch. Occupied:\n«body»\n\nAt what time does the call start?",
	"«body»\n\nAbove are the times when each person is not available. The office is open from 08:00 to 18:00. What is the earliest time at which all can meet for «length» minutes, allowing meetings that start exactly when another ends?",
}

var ledgerSkeletons = []string{
	"«body»\n\nEach balance should be the balance before it plus the movement. One line breaks this, the lines after it go on from the wrong balance. Which voucher is it?",
	"Please reconcile this account: in exactly one line the balance does not follow from the previous balance and the movement.\n«body»\n\nName the voucher of that line.",
	"An error crept into the running balance of one line and was carried on.\n«body»\n\nWhich voucher has the wrong balance first?",
	"For the auditor: find the voucher where previous balance plus movement is not the printed balance. There is one.\n\n«body»",
	"The account below does not close. Only one step from balance to balance is wrong. Give its voucher number.\n\n«body»",
}

var joinSkeletons = []string{
	"«body»\n\nWhat is the total value (price times quantity) of all orders by customers of region «region»?",
	"Three tables were exported.\n\n«body»\n\nAdd up price times quantity for the orders whose customer belongs to «region».",
	"How much was sold to region «region», as the sum of price times quantity? Here is the data:\n\n«body»",
	"For the regional report, region «region»: please sum quantity times price over the matching orders.\n\n«body»",
	"Join the tables by customer and by article and give the revenue (quantity times price) of region «region».\n\n«body»",
}

var stringsSkeletons = []string{
	"Text: «text»\nApply these operations one after the other:\n«body»\n\nWhat is the result?",
	"Start with the words \"«text»\" and do the following in order:\n«body»\n\nGive what comes out.",
	"A script receives this input:\n«text»\nIt performs these steps:\n«body»\n\nWhat does it return?",
	"Please transform \"«text»\" by hand, each step working on the outcome of the one before:\n«body»\n\nWhat do you get at the end?",
	"Input: «text»\n\nSteps, in order:\n«body»\n\nOutput?",
}

var sortSkeletons = []string{
	"«body»\n\nSort the rows «rule». List the names in that order.",
	"Put these people in order, «rule», and give their names:\n\n«body»",
	"The sheet must be sorted «rule». What is the order of the names?\n\n«body»",
	"Please rank the entries «rule»:\n«body»\n\nName them from first to last.",
	"Data:\n«body»\n\nIn which order do the names appear after sorting «rule»?",
}

var bracketsSkeletons = []string{
	"«body»\n\nWhich «n» closing brackets must be appended so that all brackets are balanced?",
	"The end of this bracket sequence was cut off; «n» characters are missing. Give exactly these closing brackets:\n\n«body»",
	"A formatter lost the tail of a line:\n«body»\nWrite the missing «n» closing brackets in the right order.",
	"Complete the sequence with «n» closing brackets, no more. Give only what has to be added:\n\n«body»",
	"Please repair this: every opening bracket needs its partner, properly nested, and «n» are missing at the end. What is missing?\n\n«body»",
}

var jsonSkeletons = []string{
	"«body»\n\nOne line of this JSON text was damaged. Which line, counting from 1?",
	"The parser refuses this file because of a single damaged line. Give the number of that line; the first line is 1.\n\n«body»",
	"Which line is not as valid JSON needs it? Lines are counted from 1 and the fault is in the line where something is missing.\n\n«body»",
	"Somebody deleted something in one line of this configuration:\n«body»\n\nGive its line number (first line: 1).",
	"Please review this JSON. Exactly one line lacks something. State its number, starting at 1.\n\n«body»",
}

var regexSkeletons = []string{
	"Regular expression: «pattern»\n\nTaken as a whole-text match, «ask»?\n\n«body»",
	"Consider the pattern «pattern». So «ask»?\n«body»",
	"A filter uses the expression\n«pattern»\nand matches entire texts. Now, «ask»?\n\n«body»",
	"«body»\n\nGiven the regular expression «pattern», «ask» (see above)?",
	"Please check the rule «pattern» by hand: «ask»?\n\n«body»",
}

var traceSkeletons = []string{
	"What does this Python program print?\n\n«body»",
	"«body»\n\nTrace the code above and give its output.",
	"Please predict the output before we run it:\n\n«body»",
	"A colleague asks what number this Python snippet writes:\n\n«body»\n\nWhich is it?",
	"Reading the following Python line by line, what is printed at the end?\n\n«body»",
}

var sqlSkeletons = []string{
	"Table orders and a query:\n\n«body»\n\nWhat does the query return?",
	"Evaluate the SQL by hand over the table orders:\n\n«body»",
	"The dashboard shows one number. Which, given table orders and this statement?\n\n«body»",
	"«body»\n\nThe rows above are the whole table orders. Give the single value that the statement yields.",
	"Please verify this report; the data of table orders comes first, then the query.\n\n«body»\n\nWhat value results?",
}

var gridSkeletons = []string{
	"«people» have one of each kind of these: «things». No two share one.\n«body»\n\nWho has the «thing»?",
	"Everyone of «people» has exactly one thing of every kind, and nothing is shared. Kinds: «things».\n\n«body»\n\nWho is it that has the «thing»?",
	"Puzzle. People: «people». Things, one of every kind for each person, all different: «things».\nHints:\n«body»\n\nTo whom does the «thing» go?",
	"Find the owner of the «thing». The things «things» were given to «people» so that each has exactly one of every kind.\n\n«body»",
	"The notes say:\n«body»\n\n«people» each got one of every kind (kinds are divided by semicolons: «things»), and no thing was given twice. Whose is the «thing»?",
}

var truthSkeletons = []string{
	"Everybody here is either a truth-teller, who says only true things, or a liar, who says only false things.\n«body»\n\nPlease «ask».",
	"On an island liars always lie and truth-tellers never do.\n\n«body»\n\nWork out who is what and «ask».",
	"«body»\n\nA liar's sentence is false, a truth-teller's is true, and each person is one or the other. Now «ask».",
	"Statements were taken from people of whom each either always lies or always tells the truth:\n«body»\n\nFrom these alone, «ask».",
	"Some of these people always tell the truth, the others always lie. They say:\n«body»\n\nYour task: «ask».",
}

var pathSkeletons = []string{
	"Roads, usable both ways:\n«body»\n\nHow long is the shortest way from «from» to «to», in km?",
	"What is the shortest distance in km between «from» and «to» on this network? All roads run both ways.\n\n«body»",
	"A van drives from «from» to «to» and wants the fewest kilometres. Two-way roads:\n«body»\n\nHow many km does it need?",
	"«body»\n\nThe roads above can be driven in either direction. Give the length in km of the best route from «from» to «to».",
	"Please plan the shortest route «from» to «to». The map, with all roads two-way:\n\n«body»\n\nWhat is its total length in km?",
}

var clinicalSkeletons = []string{
	"Formula: «formula».\n«body»\n\n«ask» The cases are invented.",
	"«ask»\nUse this formula: «formula».\n\n«body»",
	"An exercise sheet for trainees gives «formula». Data:\n«body»\n\n«ask»",
	"«body»\n\nWith the rule \"«formula»\": «ask»",
	"Please check the calculation sheet. Rule: «formula». Entries:\n«body»\n\n«ask»",
}

var contractSkeletons = []string{
	"Contract:\n«body»\n\nFacts: «story»\n\nHow much is due in EUR?",
	"Apply these clauses to the case and give the amount due in EUR.\n\n«body»\n\nCase: «story»",
	"«story»\n\nThe agreement reads:\n«body»\n\nWhat does the buyer owe in total, in EUR?",
	"We disagree with the other side about the invoice. «story» The terms are:\n«body»\n\nWhich total in EUR follows from them?",
	"Terms and conditions\n«body»\n\nWhat happened: «story»\nCalculate the total charge in EUR.",
}

var needleSkeletons = []string{
	"Read the chronicle and compute «ask».\n\n«body»",
	"«body»\n\nFrom the text above, what is «ask»?",
	"The record below mentions several depots. Needed: «ask».\n\n«body»",
	"Somewhere in these notes are the figures for one calculation.\n\n«body»\n\nThe calculation: «ask». What is the result?",
	"Please go through the minutes for me. I want to know «ask».\n\n«body»",
}

var formatSkeletons = []string{
	"Write a short text of any content that keeps all of these rules:\n«body»\n\nReply with the text only.",
	"Compose a small poem or list of words. It must obey every rule:\n«body»\n\nYour reply is the text itself and nothing else.",
	"The label printer takes only texts of this form:\n«body»\n\nSend one such text, without any remark.",
	"Meaning does not matter, form does. Rules:\n«body»\n\nAnswer with a text that keeps them all, and nothing besides.",
	"Here is our style guide for the footer, all points apply together:\n«body»\n\nGive a footer that follows it. No explanation.",
}
