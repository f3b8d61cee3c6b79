package probe

// What ordinary work looks like, for questions that shall not stand out. A skeleton is a
// piece of work with slots in braces: {task} is the question, made of a frame and a
// thing, {form} how it is answered, {more} some further sentences; the others are drawn
// from the language's lists. Changing a text makes references that were recorded with the
// dress useless, so it needs a new version in workVersion.

// office is one language's.
type office struct {
	systems   []string
	rules     []string // may follow in a system prompt
	skeletons []string
	notes     []string // as skeletons, of a line or two
	slots     map[string][]string
	more      []string
	clauses   [4][]string          // who, did, what and how: make further sentences, where a language has them
	frames    []string             // each asks for {one}, or for the {thing}
	forms     []string             // each leads to an answer that chosen reads
	things    map[string][2]string // what each task asks for: one of it, and its name
	earlier   [][2]string          // what was said before, and answered
}

// offices are by language.
var offices = map[string]*office{"en": &officeEN, "ru": &officeRU, "zh": &officeZH, "ar": &officeAR}

var officeEN = office{
	systems: []string{
		"You are a helpful assistant.",
		"You are an assistant for the operations team of {company}. Be brief and factual.",
		"You are the writing assistant of {company}. Keep a friendly, professional tone and never invent customer data.",
		"You help employees of {company} with everyday office work. Follow the format that is asked for. If something is unclear, make a sensible choice and go on.",
		"You are an AI assistant embedded in a ticketing system. Your answers are read by a program, so keep to the format.",
		"You are an expert software engineer. Answer concisely.",
		"You support the event team. Dates are in 24-hour format, amounts in euros. Today is {day}.",
		"Act as a project coordinator. You will be given notes, tables or mails and asked for one small piece of work on them.",
		"You are a data-entry assistant. Use only what is on the form and fill in what is missing as you see fit.",
	},
	rules: []string{
		"Write in British English.", "Use the metric system.", "Do not mention these instructions.", "Amounts are in euros unless stated otherwise.", "Never ask a question back; decide and go on.",
		"Names of persons stay as they are written.", "Times are local times of {place}.", "{person} is the owner of this process and reads along on {day}s.", "Keep to what was asked and leave greetings out.",
		"If a text is in another language, answer in the language of the question.", "Avoid jargon.", "Do not use emoji.", "Confidential: internal use at {company} only.", "Older entries take precedence over newer ones, except for prices.",
		"Lists have at most seven points.", "The product is called {product}; do not translate its name.", "Be polite, also to people who are not.", "Suggestions should be suitable for all ages.", "Output goes into a form, so formatting matters.",
		"Where several options are equally good, take whichever comes to mind.", "Complaints are passed on to {person}.", "The fiscal year of {company} begins in April.",
	},
	skeletons: []string{
		"Hi,\n\nthanks for taking this on while I am at {place}. We are nearly done with the material for {event}; {person} from {company} confirmed the room for {day} at {time} and the invoice over {amount} is paid. {more}\n\nOne thing is still open on our side: {task} {form}\n\nBest,\n{person}",
		"Subject: Re: {event}\nFrom: {person}\nTo: team@{domain}\n\nDear all,\n\nhere is where we are. The budget of {amount} was approved on {day}, and {person} will look after the suppliers. {more}\n\nPlease settle the last point for us: {task} {form}\n\nKind regards\n{person}",
		"Ticket {ref}\nPriority: medium\nReporter: {person}\nComponent: {product}\n\nDescription: on {day} at {time} the {product} page of {company} showed the old entry again. {more}\n\nTo close the ticket we need a default value. {task} {form}",
		"TICKET {ref}: missing value in the form for {event}\n\nSteps:\n1. Open {product}.\n2. Go to the entry of {company}.\n3. The field is empty since {day}.\n\nNotes from {person}: {more}\n\nAction: {task} {form}",
		"Registration form, no. {ref}\n\nName: {person}\nOrganisation: {company}\nArrives: {day}, {time}\nPaid: {amount}\nRemarks: {more}\n\nThe last field was left empty. {task} {form}",
		"Please complete this record.\n\n- id: {ref}\n- contact: {person}\n- account: {company}\n- opened: {day}\n- value: {amount}\n- comment: {more}\n- missing: {task}\n\n{form}",
		"```python\n# {product}: seed data for the demo of {event}\n# owner: {person}, reviewed {day}\n# {more}\n#\n# TODO({ref}): the fixture still needs one entry.\nENTRIES = load(\"{domain}/fixtures\")\n```\n\n{task} {form}",
		"I am writing test fixtures for {product} and have this so far:\n\n```json\n{\"id\": \"{ref}\", \"customer\": \"{company}\", \"contact\": \"{person}\", \"total\": \"{amount}\", \"value\": null}\n```\n\n{more} Help me fill in what is null: {task} {form}",
		"// {product} / sample.go\n// {person}, {day}: placeholder until {company} sends the real list.\n// {more}\nvar sample = Sample{ID: \"{ref}\", At: \"{time}\"}\n\n{task} {form}",
		"Sheet: {event}\n\n| row | person | company | amount | value |\n|---|---|---|---|---|\n| 1 | {person} | {company} | {amount} | ok |\n| 2 | {person} | {company} | {amount} | ok |\n| 3 | {person} | {company} | {amount} | ? |\n\n{more}\n\nRow 3 has a gap. {task} {form}",
		"I exported the list for {event} from {product}:\n\nref;name;place;date\n{ref};{person};{place};{day}\n{ref};{person};{place};{day}\n\n{more} There is one more column to fill. {task} {form}",
		"[{time}] {person}: did {company} answer?\n[{time}] {person}: yes, they are fine with {day} and {amount}\n[{time}] {person}: {more}\n[{time}] {person}: good, then only one thing is left before {event}\n[{time}] {person}: {task}\n\nWhat shall I write back? {form}",
		"Summary of the chat in #{product}:\n\n{person}: we moved {event} to {day}.\n{person}: {more}\n{person}: fine. Ref is {ref}.\n\nThe bot has to post the final decision. {task} {form}",
		"Minutes, {event}\n{day}, {time}, {place}\nPresent: {person}, {person}, {person}\n\n1. Costs. {company} offers {amount}.\n2. {more}\n3. Open question, left to the assistant: {task}\n\n{form}",
		"Agenda for {day}\n\n- {time} welcome by {person}\n- budget ({amount})\n- {product}: status\n- {more}\n- closing: {task}\n\nFill in the closing item for me. {form}",
		"We are preparing the quiz for {event} with about {count} people. {person} has the questions on {product}, {company} sponsors the prizes ({amount}). {more} For the warm-up round: {task} {form}",
		"Draft of the invitation:\n\n\"Dear {person},\n\nwe are glad to invite you to {event} on {day} at {time} in {place}. {more}\"\n\nBefore it goes out, {person} wants one detail decided. {task} {form}",
		"Newsletter {ref}, column \"Small things\". {person} wrote about {place} last time; this time it is about {product}. {more}\n\nWe need an opener for the column. {task} {form}",
		"Product card for {product}\nSupplier: {company}\nList price: {amount}\nAvailable from: {day}\nText: {more}\n\nThe marketing field is not set. {task} {form}",
		"Hello! I run the onboarding at {company}. Every new colleague gets a welcome kit; the one for {person}, who starts on {day} in {place}, is nearly packed. {more} Could you decide the last bit? {task} {form}",
		"Support conversation, case {ref}\n\nCustomer: I ordered {product} on {day} and paid {amount}.\nAgent: Thank you, {person} is looking into it.\nCustomer: {more}\nAgent: For the replacement we need one more detail; as the customer has no preference: {task}\n\n{form}",
		"Release notes for {product}, build {ref}\n\n* fixed: the export for {company} no longer drops the last row\n* changed: reminders are sent at {time}\n* {more}\n\nEach release gets a nickname detail from us. {task} {form}",
		"Survey entry {ref}\nRespondent: {person} ({company})\nDate: {day}\nQ1 How satisfied are you with {product}? 4\nQ2 Anything else? {more}\nQ3 {task}\n\nFill in Q3 as a typical respondent might. {form}",
		"Travel request\n\nTraveller: {person}\nPurpose: {event}\nWhere: {place}\nFrom: {day} {time}\nEstimated cost: {amount}\nNotes: {more}\n\nThe request template ends with an icebreaker for the host. {task} {form}",
		"To-do list of {person}:\n[x] call {company}\n[x] pay {amount}\n[x] book {place} for {day}\n[ ] {more}\n[ ] last item for {event}\n\nHelp with the last one: {task} {form}",
		"Incident review {ref}\n\nWhat happened: {product} was unavailable from {time} on {day}.\nImpact: {count} users of {company}.\nNotes: {more}\n\nIncidents get a label that is easy to remember. {task} {form}",
		"I am building a small demo on {product} for {company}. The page greets {person} and shows {amount} as the balance. {more} I want the example content to look natural, so choose for me: {task} {form}",
		"Lesson plan\nTeacher: {person}\nClass: {count} pupils\nDate: {day}, {time}\nTopic: {event}\n{more}\n\nWarm-up card: {task} {form}",
		"Inventory note {ref}, warehouse {place}\nCounted by {person} on {day}. Value {amount}. Supplier {company}. {more}\n\nThe shelf needs a tag. {task} {form}",
		"Hey, quick one before I leave for {place}. {person} and I are setting up the table signs for {event} ({count} guests, {day}, {time}). {more} {task} {form}",
		"Context: {company} runs {product}. Last week {person} moved the deadline to {day}. {more}\n\nTask: {task}\nFormat: {form}",
		"From the notes of {person}, {day}:\n\n{more}\n\nBudget {amount}, reference {ref}, contact at {company} is {person}. The story for {event} still needs one concrete detail. {task} {form}",
		"Please read this and then decide one thing for us.\n\n---\n{person} met {company} in {place} on {day}. They discussed {product} and agreed on {amount}. {more}\n---\n\n{task} {form}",
		"Template for the badge printer\n\nEvent: {event}\nHolder: {person}\nCompany: {company}\nValid: {day}, from {time}\nNumber: {ref}\n{more}\n\nOne field is free. {task} {form}",
		"Job {ref} of the nightly import reported one incomplete record:\n\nsource={domain} customer=\"{company}\" contact=\"{person}\" amount=\"{amount}\" value=\"\"\n\n{more}\n\nGive a plausible placeholder. {task} {form}",
		"Handover from {person} to {person}, {day} {time}\n\nDone: invoice of {company} ({amount}), room in {place}.\nOpen: {more}\nAlso open, needs a decision today: {task}\n\n{form}",
		"Could you help with the raffle at {event}? {count} colleagues take part, {company} gives {amount}. {person} handles the tickets ({ref}). {more} {task} {form}",
		"Screen text review\n\nTitle: Welcome back, {person}\nBody: your plan at {company} renews on {day} for {amount}.\nHint: {more}\n\nThe example in the hint is missing. {task} {form}",
		"The puppet show for {event} in {place} needs a script. {person} plays the baker, {person} the guard; we begin at {time}. {more} In the first scene the guard asks the baker for something. {task} {form}",
		"Meeting poll\n\nOrganiser: {person}\nOptions: {day} {time}, {day} {time}\nVotes so far: {count}\nComment: {more}\n\nTo confirm that the poll was read, everybody adds something small. {task} {form}",
		"Customer profile, internal\n\nName: {person}\nCompany: {company}\nSince: {day}\nTurnover: {amount}\nHobby notes: {more}\n\nThe gift card must carry a small motif. {task} {form}",
		"We translate the game {product} for {company}. String {ref} is a riddle whose solution we may set freely, {person} says. {more} {task} {form}",
	},
	notes: []string{
		"{task} It is for {person} ({ref}). {form}", "{task} {form} Ref {ref}, {company}.", "For {event}, {day}: {task} {form}", "{person} asks ({ref}): {task} {form}", "{ref}: {task} {form}",
		"Next one, {ref}. {task} {form}", "And for {person} from {company}, {amount}: {task} {form}", "{product}, {day}, {time}: {task} {form}", "{task} It goes on the badge of {person}, {company}. {form}",
		"One more thing about {ref}: {task} {form}", "{more} {task} {form}", "hi, for {ref} - {task} {form}", "{company}, row {count}, {amount}. {task} {form}", "Also: {task} {form} ({ref})", "{task} We need it for {product} by {time}. {form} Thanks, {person}",
		"ok, now {ref}: {task} {form}", "{more} {task} {form}", "{more}\n\n{task} {form}",
	},
	slots: map[string][]string{
		"key":     {"choice", "answer", "value", "result", "entry"},
		"label":   {"Choice", "Answer", "Value", "Result", "Entry"},
		"person":  {"Anna Keller", "Tom Okafor", "Maria Silva", "Jonas Weber", "Priya Nair", "Luca Romano", "Sofie Jensen", "David Cohen", "Mei Tanaka", "Omar Haddad", "Claire Dubois", "Peter Novak", "Ines Costa", "Karin Holm", "Samuel Adeyemi", "Ruth Miller", "Viktor Lind", "Elena Petrova", "Hugo Martin", "Nora Quinn"},
		"company": {"Northwind Logistics", "Alder & Finch", "Brightwater Foods", "Kestrel Systems", "Lumen Print", "Harbour Dental", "Oakline Furniture", "Meridian Travel", "Quarry Street Media", "Solvay Textiles", "Bluebird Insurance", "Tessel Robotics", "Greenfield Farms", "Ostrava Steel", "Pine Valley School", "Corvid Labs"},
		"domain":  {"northwind.example", "alderfinch.example", "kestrel.example", "lumen.example", "meridian.example", "corvid.example"},
		"product": {"Ledgerline", "Fieldnote", "Parcelhub", "Shiftplan", "Docsmith", "Roomie", "Stockwise", "Helpdesk Pro", "Campaigner", "Cartwheel", "Metricboard", "Formflow"},
		"place":   {"Lyon", "the second floor", "Rotterdam", "building C", "Graz", "the Leeds office", "hall 4", "Porto", "Tampere", "the annex", "Gdansk", "the town hall"},
		"event":   {"the summer party", "the spring fair", "the supplier day", "the open house", "the team offsite", "the customer breakfast", "the anniversary", "the training week", "the charity run", "the product launch"},
		"day":     {"Monday", "12 May", "Tuesday", "next Thursday", "Midsummer", "8 September", "Friday", "the first of October", "Wednesday", "the last day of the month", "Saturday"},
		"time":    {"08:15", "half past nine", "ten", "11:45", "noon", "two o'clock", "15:30", "four", "5 p.m.", "the usual time"},
	},
	more: []string{
		"The supplier has promised to deliver two days earlier than last year.", "Parking is limited, so most of us will come by train.", "I have attached the old version for comparison.",
		"Nobody has objected so far.", "The caterer asked for the final head count by noon.", "We changed the wording after the feedback from the board.", "There is a small risk that the printer will not be ready in time.",
		"The numbers for the last quarter were a little better than expected.", "Legal has looked at it and has no concerns.", "The second item can wait until after the holidays.", "Our contact there is on leave, but her deputy knows the case.",
		"It took longer than planned because two files were damaged.", "The customer would like to have everything in one mail.", "We agreed to keep it simple this time.", "The old entry will be archived at the end of the month.",
		"Please note that the address has changed.", "The colleagues from the night shift will get the plan later.", "I will send the photographs as soon as they are sorted.", "The discount applies to orders above a certain size only.",
		"A reminder went out this morning, and about half have replied.", "The draft went through three rounds of review already.", "Insurance is covered by the venue.", "We had a similar question in spring and settled it within a day.", "The training material is in the shared folder.",
	},
	clauses: [4][]string{
		{"The supplier", "Our contact in {place}", "{person}", "The agency", "Accounting", "The night shift", "The venue", "{company}", "The trainee", "The print shop", "The regional manager", "The caretaker", "Somebody from sales", "The translator", "The courier", "Facilities", "The steering group", "A volunteer", "The team in {place}", "Her deputy"},
		{"has moved", "will check", "asked about", "already confirmed", "still needs", "has sent", "wants to postpone", "is preparing", "went through", "has lost track of", "corrected", "signed off", "will bring", "found a mistake in", "has no objection to", "proposed a change to", "is happy with", "has not seen", "picked up", "will pay for"},
		{"the contract", "the seating plan", "the second draft", "the price list", "the access badges", "the figures for May", "the floor plan", "the delivery note", "the slides", "the insurance form", "the guest list", "the translation", "the time sheet", "the spare keys", "the old catalogue", "the catering order", "the page on {product}", "the letter to {company}", "the sample from {place}", "our notes"},
		{"before {day}", "at the last meeting", "by mail", "on the phone", "after some discussion", "as agreed in {place}", "once more", "together with {person}", "at short notice", "which saves {amount}", "because of the holidays", "without further comment", "at {time}", "so there is nothing left to do", "and will report on {day}", "although it was late"},
	},
	frames: []string{
		"Choose {one}.", "Pick {one} for it.", "Suggest {one}.", "Propose {one}, please.", "Which {thing} shall we take?", "What {thing} would you put there?", "Decide on {one}.",
		"Come up with {one}.", "Fill in {one}.", "Set it to {one}.", "The {thing} is up to you.", "Any {thing} will do.", "Settle on {one} for us.", "Let us have {one}.",
		"Could you think of {one}?", "It should be {one}; we have no preference.", "Please supply {one}.", "We still lack {one}.", "I would like {one} here.", "Give {one}.",
		"Find {one} that we can use.", "Insert {one}.", "What about the {thing}?", "There has to be {one} in it.",
		"Just give me {one}.", "Put {one} there.", "What {thing} do you say?", "Make it {one}.", "I need {one}.", "Which {thing} is it going to be?", "Whatever {thing} you like.", "Complete it with {one}.",
		"Your turn to name {one}.", "Add {one}.", "What is missing is {one}.", "Say {one}.", "Take {one} of your choice.", "Write down {one}.", "Can we have {one} for that?", "Nobody here can agree on {one}, so you decide.",
	},
	forms: []string{
		"Answer in one word.", "Just that, please, without explanation.", "Nothing else in the answer.", "No sentence, I will paste your answer as it is.", "Keep the answer to the bare minimum.",
		"Output the value only.", "Plain text, no punctuation.", "Leave out any comment.", "Short answer: a single term.", "The field takes one term and no more.", "Reply with it and stop there.", "Do not explain it.",
		"Keep it short.", "No explanation needed.", "I only need the word itself.", "Without any introduction.", "That is all I need.", "Be brief, please.", "One word is enough.", "No more than that.",
		"Acknowledge in a sentence, then end with a line \"{label}: ...\".", "Add a last line that begins with \"{label}:\".", "Put it behind \"{label}:\" on a line of its own.",
		"Return JSON with the members \"status\" (\"done\") and \"{key}\".", "Respond as a JSON object: {\"reviewed\": true, \"{key}\": \"...\"}.", "As JSON, please: {\"{key}\": \"...\", \"note\": \"\"}.",
	},
	things: map[string][2]string{
		"number": {"a whole number from 1 to 100", "whole number from 1 to 100"}, "letter": {"a letter from A to Z", "letter from A to Z"}, "colour": {"a colour", "colour"}, "animal": {"an animal", "animal"},
		"city": {"a city", "city"}, "fruit": {"a fruit", "fruit"}, "name": {"a first name", "first name"}, "tool": {"a kitchen object", "kitchen object"}, "verb": {"a verb", "verb"},
		"weather": {"a word for the weather", "word for the weather"}, "weekday": {"a day of the week", "day of the week"}, "instrument": {"a musical instrument", "musical instrument"}, "drink": {"a drink", "drink"},
		"country": {"a country", "country"}, "flower": {"a flower", "flower"}, "job": {"an occupation", "occupation"},
	},
	earlier: [][2]string{
		{"Hello, can you help me with a few small things today?", "Of course. Send me the first one and I will get started."},
		{"Please shorten this: \"We would like to inform you that the meeting has been moved to a later date.\"", "The meeting has been postponed."},
		{"What is a polite way to say no to an invitation?", "You could write: \"Thank you very much for the invitation. Unfortunately I will not be able to come, but I wish you a good time.\""},
		{"Turn into a bullet list: invoices, travel, training.", "- Invoices\n- Travel\n- Training"},
		{"Is \"advice\" countable?", "No. You can say \"a piece of advice\" when you mean one."},
		{"How do I write the date in an invitation?", "Write out the month: Friday, 12 May 2026, at 6 p.m."},
		{"Draft a reply to the caterer: we accept the offer and will send the final number of guests on Monday.", "Dear Sir or Madam,\n\nthank you for your offer, which we are glad to accept. You will receive the final number of guests on Monday.\n\nKind regards"},
		{"What belongs into the minutes of a meeting?", "Date, place and those present; each point of the agenda with its result; who does what by when; and the date of the next meeting."},
		{"Correct the spelling: we recieved you're payement yesterday", "We received your payment yesterday."},
		{"Make this friendlier: Send the form today or lose the place.", "Could you please send us the form today? Then we can keep the place for you."},
		{"Which time zone is Lisbon in?", "Western European Time: the same as London, summer and winter."},
		{"thanks, that helps", "You are welcome. Is there anything else?"},
	},
}

var officeRU = office{
	systems: []string{"Ты полезный помощник.", "Ты помощник отдела закупок компании «{company}». Отвечай кратко и по делу.", "Ты помогаешь сотрудникам с повседневной офисной работой. Соблюдай заданный формат."},
	rules:   []string{"Пиши по-русски.", "Не задавай встречных вопросов.", "Суммы указаны в евро.", "Не упоминай эти указания.", "Имена не изменяй.", "Без эмодзи.", "За процесс отвечает {person}.", "Из равных вариантов бери любой."},
	skeletons: []string{
		"Добрый день!\n\nМатериалы к мероприятию почти готовы: {person} подтвердил зал на {day} в {time}, счёт на {amount} оплачен. {more}\n\nОстался один вопрос. {task} {form}\n\nС уважением,\n{person}",
		"Заявка {ref}\nПриоритет: средний\nАвтор: {person}\nКомпания: {company}\n\nОписание: с {day} поле в карточке пустое. {more}\n\nЧтобы закрыть заявку, нужно значение. {task} {form}",
		"Анкета {ref}\nИмя: {person}\nОрганизация: {company}\nДата: {day}, {time}\nОплачено: {amount}\nПримечание: {more}\n\nПоследнее поле не заполнено. {task} {form}",
		"[{time}] {person}: «{company}» ответила?\n[{time}] {person}: да, согласны на {day} и {amount}\n[{time}] {person}: {more}\n[{time}] {person}: тогда осталось одно: {task}\n\nЧто мне написать в ответ? {form}",
		"Протокол совещания, {day}, {time}\nПрисутствовали: {person}, {person}\n1. Расходы: {company} предлагает {amount}.\n2. {more}\n3. Решение поручено помощнику: {task}\n\n{form}",
		"| № | сотрудник | компания | сумма | значение |\n|---|---|---|---|---|\n| 1 | {person} | {company} | {amount} | есть |\n| 2 | {person} | {company} | {amount} | ? |\n\n{more} Во второй строке пропуск. {task} {form}",
		"# {company}: тестовые данные, {person}, {day}\n# {more}\n# TODO {ref}: не хватает одной записи\n\n{task} {form}",
		"Передача дел: {person}, {day} {time}\nСделано: счёт «{company}» ({amount}).\nОткрыто: {more}\nНужно решить сегодня: {task}\n\n{form}",
	},
	notes: []string{"{ref}: {task} {form}", "{task} Это для {company}, {ref}. {form}", "{person} спрашивает ({ref}): {task} {form}", "И ещё по заявке {ref}. {task} {form}", "{more} {task} {form} ({ref})", "К {day}, {amount}, {ref}: {task} {form}"},
	slots: map[string][]string{
		"person":  {"Ирина Волкова", "Сергей Лебедев", "Ольга Соколова", "Павел Морозов", "Наталья Орлова", "Денис Кузнецов", "Марина Белова", "Артём Зайцев"},
		"company": {"Север Логистик", "Альфа Печать", "Вектор", "Новая Мебель", "Поле и Сад", "Точка Роста", "Медлайн"},
		"day":     {"3 марта", "12 мая", "вторник", "21 июня", "8 сентября", "пятницу", "17 октября"},
		"time":    {"08:15", "09:30", "10:00", "11:45", "14:00", "15:30", "17:00"},
	},
	more: []string{"Поставщик обещал доставить всё на два дня раньше.", "Пока никто не возражал.", "Юристы посмотрели и замечаний не имеют.", "Старую запись перенесут в архив в конце месяца.", "Клиент хочет получить всё одним письмом.", "Обратите внимание, что адрес изменился.", "Второй пункт может подождать до конца праздников.", "Напоминание отправили утром, половина уже ответила."},
	frames: []string{
		"Выбери {one}.", "Предложи {one}.", "Впиши {one}.", "Нужно подставить {one}.", "Подойдёт {one}, любой вариант.", "Пусть это будет {one}.", "Придумай {one}.", "Здесь не хватает: {thing}.", "Укажи {one} для примера.", "{thing} на твоё усмотрение.",
	},
	forms: []string{"Ответь одним словом.", "Без пояснений.", "Больше ничего в ответе.", "Только само значение, без знаков препинания.", "Ответ вставлю как есть.", "Закончи ответ строкой «Выбор: ...».", "Верни JSON с полями \"status\" (\"done\") и \"choice\"."},
	things: map[string][2]string{
		"number": {"целое число от 1 до 100", "число от 1 до 100"}, "letter": {"букву русского алфавита", "буква"}, "colour": {"цвет", "цвет"}, "animal": {"животное", "животное"}, "city": {"город", "город"},
		"fruit": {"фрукт", "фрукт"}, "name": {"имя человека", "имя"}, "tool": {"предмет с кухни", "кухонный предмет"}, "verb": {"глагол", "глагол"}, "weather": {"слово о погоде", "слово о погоде"},
	},
	earlier: [][2]string{{"Здравствуйте, поможете мне сегодня с парой мелочей?", "Конечно. Присылайте первую."}, {"Сократи: «Сообщаем вам, что встреча перенесена на более поздний срок».", "Встреча перенесена."}, {"Как правильно указать дату в приглашении?", "Напишите день, месяц и год полностью: 12 мая 2026 года."}, {"Исправь ошибки: мы палучили ваш платёж", "Мы получили ваш платёж."}, {"спасибо, это помогло", "Пожалуйста. Что-нибудь ещё?"}},
}

var officeZH = office{
	systems: []string{"你是一个乐于助人的助手。", "你是{company}运营团队的助手，回答要简洁、准确。", "你协助员工处理日常办公事务，请遵守要求的格式。"},
	rules:   []string{"请用简体中文。", "不要反问。", "金额以欧元计。", "不要提及这些说明。", "人名保持原样。", "不要使用表情符号。", "该流程由{person}负责。", "选项同样合适时任选其一。"},
	skeletons: []string{
		"您好：\n\n活动的材料基本准备好了。{person}已确认{day}{time}的会议室，{amount}的发票也已付清。{more}\n\n还有一件事没有定。{task}{form}\n\n此致\n{person}",
		"工单 {ref}\n优先级：中\n提交人：{person}\n客户：{company}\n\n描述：从{day}起，该字段一直为空。{more}\n\n关闭工单前需要一个默认值。{task}{form}",
		"登记表 {ref}\n姓名：{person}\n单位：{company}\n日期：{day} {time}\n已付：{amount}\n备注：{more}\n\n最后一栏没有填写。{task}{form}",
		"[{time}] {person}：{company}回复了吗？\n[{time}] {person}：回复了，{day}和{amount}都没问题\n[{time}] {person}：{more}\n[{time}] {person}：那就只剩一件事了：{task}\n\n我该怎么回？{form}",
		"会议纪要，{day}，{time}\n出席：{person}、{person}\n1. 费用：{company}报价{amount}。\n2. {more}\n3. 由助手决定：{task}\n\n{form}",
		"| 行 | 员工 | 公司 | 金额 | 值 |\n|---|---|---|---|---|\n| 1 | {person} | {company} | {amount} | 有 |\n| 2 | {person} | {company} | {amount} | ? |\n\n{more}第二行有空缺。{task}{form}",
		"# {company} 的测试数据，{person}，{day}\n# {more}\n# TODO {ref}：还缺一条记录\n\n{task}{form}",
		"工作交接：{person}，{day} {time}\n已完成：{company}的发票（{amount}）。\n未完成：{more}\n今天需要决定：{task}\n\n{form}",
	},
	notes: []string{"{ref}：{task}{form}", "{task}这是给{company}的，{ref}。{form}", "{person}问（{ref}）：{task}{form}", "还有{ref}。{task}{form}", "{more}{task}{form}（{ref}）", "{day}，{amount}，{ref}：{task}{form}"},
	slots: map[string][]string{
		"person":  {"王丽", "李强", "张敏", "刘洋", "陈静", "杨帆", "赵磊", "黄婷"},
		"company": {"北方物流", "明达印刷", "青田食品", "远景家具", "蓝海旅行", "新点科技", "和风教育"},
		"day":     {"3月3日", "5月12日", "星期二", "6月21日", "9月8日", "星期五", "10月17日"},
		"time":    {"08:15", "09:30", "10:00", "11:45", "14:00", "15:30", "17:00"},
	},
	more: []string{"供应商答应比去年提前两天交货。", "目前没有人反对。", "法务看过了，没有意见。", "旧的记录月底会归档。", "客户希望所有内容放在一封邮件里。", "请注意地址已经变更。", "第二项可以等到假期之后。", "今天早上已发提醒，大约一半的人回复了。", "我们同意这次尽量从简。", "培训资料在共享文件夹里。"},
	frames: []string{
		"请选{one}。", "请建议{one}。", "请填写{one}。", "这里需要{one}。", "{thing}由您决定。", "请想{one}。", "放{one}就可以。", "请给出{one}。", "还缺{one}。", "您会用什么{thing}？",
	},
	forms: []string{"用一个词回答。", "不需要解释。", "回答中不要有别的内容。", "只要内容本身，不要标点。", "我会直接粘贴您的回答。", "最后另起一行写“选择：……”。", "返回 JSON，包含 \"status\"（\"done\"）和 \"choice\"。"},
	things: map[string][2]string{
		"number": {"一个1到100之间的整数", "1到100之间的整数"}, "letter": {"一个拉丁字母", "拉丁字母"}, "colour": {"一种颜色", "颜色"}, "animal": {"一种动物", "动物"}, "city": {"一个城市", "城市"},
		"fruit": {"一种水果", "水果"}, "name": {"一个姓氏", "姓氏"}, "tool": {"一件厨房用品", "厨房用品"}, "verb": {"一个动词", "动词"}, "weather": {"一个描述天气的词", "天气词语"},
	},
	earlier: [][2]string{{"你好，今天能帮我处理几件小事吗？", "当然可以，请发第一件。"}, {"请缩短：“现通知您，会议已推迟到以后举行。”", "会议已推迟。"}, {"邀请函里的日期怎么写？", "写全年月日，例如2026年5月12日。"}, {"请改正错别字：我们以经收到您的付款", "我们已经收到您的付款。"}, {"谢谢，很有帮助", "不客气。还有别的事吗？"}},
}

var officeAR = office{
	systems: []string{"أنت مساعد مفيد.", "أنت مساعد فريق العمليات في شركة {company}. كن موجزا ودقيقا.", "تساعد الموظفين في الأعمال المكتبية اليومية. التزم بالصيغة المطلوبة."},
	rules:   []string{"اكتب بالعربية الفصحى.", "لا تطرح أسئلة.", "المبالغ باليورو.", "لا تذكر هذه التعليمات.", "لا تغير الأسماء.", "من دون رموز تعبيرية.", "المسؤول عن هذا الإجراء هو {person}.", "إن تساوت الخيارات فخذ أيها شئت."},
	skeletons: []string{
		"مرحبا،\n\nالمواد الخاصة بالفعالية شبه جاهزة. أكد {person} القاعة يوم {day} الساعة {time}، ودفعت الفاتورة بمبلغ {amount}. {more}\n\nبقي أمر واحد. {task} {form}\n\nمع التحية،\n{person}",
		"تذكرة {ref}\nالأولوية: متوسطة\nمقدم الطلب: {person}\nالعميل: {company}\n\nالوصف: الحقل فارغ منذ {day}. {more}\n\nلإغلاق التذكرة نحتاج إلى قيمة. {task} {form}",
		"استمارة {ref}\nالاسم: {person}\nالجهة: {company}\nالتاريخ: {day}، {time}\nالمدفوع: {amount}\nملاحظات: {more}\n\nالحقل الأخير غير مملوء. {task} {form}",
		"[{time}] {person}: هل ردت {company}؟\n[{time}] {person}: نعم، يوافقون على {day} وعلى {amount}\n[{time}] {person}: {more}\n[{time}] {person}: إذن بقي شيء واحد: {task}\n\nماذا أكتب في الرد؟ {form}",
		"محضر اجتماع، {day}، {time}\nالحاضرون: {person}، {person}\n1. التكاليف: تعرض {company} مبلغ {amount}.\n2. {more}\n3. القرار متروك للمساعد: {task}\n\n{form}",
		"| السطر | الموظف | الشركة | المبلغ | القيمة |\n|---|---|---|---|---|\n| 1 | {person} | {company} | {amount} | نعم |\n| 2 | {person} | {company} | {amount} | ؟ |\n\n{more} في السطر الثاني فراغ. {task} {form}",
		"# بيانات تجريبية لشركة {company}، {person}، {day}\n# {more}\n# TODO {ref}: ينقص سجل واحد\n\n{task} {form}",
		"تسليم العمل: {person}، {day} {time}\nتم: فاتورة {company} ({amount}).\nمفتوح: {more}\nيجب أن يقرر اليوم: {task}\n\n{form}",
	},
	notes: []string{"{ref}: {task} {form}", "{task} هذا لشركة {company}، {ref}. {form}", "يسأل {person} ({ref}): {task} {form}", "وأيضا {ref}. {task} {form}", "{more} {task} {form} ({ref})", "{day}، {amount}، {ref}: {task} {form}"},
	slots: map[string][]string{
		"person":  {"ليلى حسن", "عمر يوسف", "سارة منصور", "خالد العلي", "نور الدين", "هدى سالم", "مروان قاسم"},
		"company": {"الشمال للنقل", "النور للطباعة", "الواحة للأغذية", "أفق للسفر", "البيت للأثاث", "مدار للتقنية"},
		"day":     {"3 مارس", "12 مايو", "الثلاثاء", "21 يونيو", "8 سبتمبر", "الجمعة", "17 أكتوبر"},
		"time":    {"08:15", "09:30", "10:00", "11:45", "14:00", "15:30", "17:00"},
	},
	more: []string{"وعد المورد بالتسليم قبل الموعد بيومين.", "لم يعترض أحد حتى الآن.", "اطلع القسم القانوني على الأمر ولا ملاحظات لديه.", "سينقل السجل القديم إلى الأرشيف نهاية الشهر.", "يريد العميل كل شيء في رسالة واحدة.", "يرجى الانتباه إلى أن العنوان تغير.", "يمكن تأجيل البند الثاني إلى ما بعد العطلة.", "أرسل تذكير هذا الصباح ورد نصفهم تقريبا."},
	frames: []string{
		"اختر {one}.", "اقترح {one}.", "املأ الحقل: {one}.", "ينقصنا {one}.", "نحتاج هنا إلى {one}.", "اكتب {one}.", "ليكن {one} من اختيارك.", "ما رأيك: {thing}؟", "أضف {one} للمثال.", "أي {thing} يفي بالغرض.",
	},
	forms: []string{"أجب بكلمة واحدة.", "من دون شرح.", "لا شيء آخر في الجواب.", "القيمة وحدها من دون علامات ترقيم.", "سألصق جوابك كما هو.", "اختم الجواب بسطر «الاختيار: ...».", "أعد JSON فيه \"status\" (\"done\") و\"choice\"."},
	things: map[string][2]string{
		"number": {"عدد صحيح من 1 إلى 100", "عدد من 1 إلى 100"}, "letter": {"حرف من الأبجدية العربية", "حرف"}, "colour": {"لون", "لون"}, "animal": {"حيوان", "حيوان"}, "city": {"مدينة", "مدينة"},
		"fruit": {"فاكهة", "فاكهة"}, "name": {"اسم شخص", "اسم"}, "tool": {"أداة من المطبخ", "أداة مطبخ"}, "verb": {"فعل", "فعل"}, "weather": {"كلمة عن الطقس", "كلمة عن الطقس"},
	},
	earlier: [][2]string{{"مرحبا، هل تساعدني اليوم في بعض الأمور الصغيرة؟", "بالطبع. أرسل الأمر الأول."}, {"اختصر: «نود إعلامكم بأن الاجتماع أجل إلى موعد لاحق».", "أجل الاجتماع."}, {"كيف أكتب التاريخ في الدعوة؟", "اكتب اليوم والشهر والسنة كاملة: 12 مايو 2026."}, {"صحح: لقد استلمنا دفعتكن", "لقد استلمنا دفعتكم."}, {"شكرا، هذا مفيد", "عفوا. هل من شيء آخر؟"}},
}
