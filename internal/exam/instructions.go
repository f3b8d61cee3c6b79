package exam

// wrapper makes a question look like a document of daily work.
type wrapper struct{ name, text string }

var wrappers = map[string][]wrapper{
	"en": {
		{"plain", "«prompt»"},
		{"email", "From: «from»\nTo: «to»\nSubject: Re: «code»\n\nHi «to»,\n\n«prompt»\n\nThanks,\n«from»"},
		{"ticket", "Ticket «code»\nReporter: «from»\nAssignee: «to»\nPriority: normal\n\nDescription\n«prompt»"},
		{"spreadsheet", "Workbook «code», sheet «n», comment by «from» on the cell above the data:\n\n«prompt»"},
		{"log", "[worker-«n»] INFO job=«code» user=«from» state=question text follows\n«prompt»\n[worker-«n»] INFO job=«code» state=waiting for reply"},
		{"review", "Review thread on change «code», started by «from» and assigned to «to»:\n\n«prompt»"},
	},
	"de": {
		{"plain", "«prompt»"},
		{"email", "Von: «from»\nAn: «to»\nBetreff: Vorgang «code»\n\nGuten Tag «to»,\n\n«prompt»\n\nViele Grüße\n«from»"},
		{"ticket", "Ticket «code»\nGemeldet von: «from»\nBearbeitung: «to»\n\nBeschreibung\n«prompt»"},
		{"spreadsheet", "Arbeitsmappe «code», Blatt «n», Kommentar von «from»:\n\n«prompt»"},
	},
	"es": {
		{"plain", "«prompt»"},
		{"email", "De: «from»\nPara: «to»\nAsunto: expediente «code»\n\nHola, «to»:\n\n«prompt»\n\nUn saludo,\n«from»"},
		{"ticket", "Incidencia «code»\nAutor: «from»\nResponsable: «to»\n\nDescripción\n«prompt»"},
		{"spreadsheet", "Libro «code», hoja «n», comentario de «from»:\n\n«prompt»"},
	},
	"zh": {
		{"plain", "«prompt»"},
		{"email", "发件人：«from»\n收件人：«to»\n主题：«code»\n\n«to»，你好：\n\n«prompt»\n\n谢谢！\n«from»"},
		{"ticket", "工单«code»\n提交人：«from»\n处理人：«to»\n\n描述\n«prompt»"},
		{"spreadsheet", "工作簿«code»，第«n»张表，«from»的批注：\n\n«prompt»"},
	},
}

var systems = map[string][]string{
	"en": {"You are a careful assistant.", "You help the back office of a small company.", "Answer exactly what is asked."},
	"de": {"Du bist ein sorgfältiger Assistent.", "Du unterstützt die Verwaltung einer kleinen Firma."},
	"es": {"Eres un asistente cuidadoso.", "Ayudas a la administración de una empresa pequeña."},
	"zh": {"你是一个细心的助手。", "你协助一家小公司的后勤部门。"},
}

// instructionText says in one language how an answer is to be given.
type instructionText struct {
	forms        map[Kind]string
	inUnit       string
	brief, final []string
}

var instructions = map[string]instructionText{
	"en": {
		forms: map[Kind]string{
			Number: "the number", Date: "the date as YYYY-MM-DD", Clock: "the time as HH:MM on a 24-hour clock", Word: "the name or word",
			Text: "the exact text", List: "the names, separated by commas", YesNo: "yes or no", Choice: "the letter of the right option",
		},
		inUnit: "the number in «unit»",
		brief:  []string{"Reply with «form» only, without explanation.", "Give «form» and nothing else.", "Your whole reply must be «form»."},
		final: []string{
			"You may show your work. End with a line that starts with \"Answer:\" and gives «form».",
			"Work it out as you like; the last line must read \"Answer:\" followed by «form».",
			"Finish with one line, \"Answer:\" and then «form».",
		},
	},
	"de": {
		forms: map[Kind]string{
			Number: "der Zahl", Date: "dem Datum als JJJJ-MM-TT", Clock: "der Uhrzeit als HH:MM im 24-Stunden-Format", Word: "dem Namen oder Wort",
			Choice: "dem Buchstaben der richtigen Möglichkeit",
		},
		inUnit: "der Zahl in «unit»",
		brief:  []string{"Antworte nur mit «form», ohne Erklärung.", "Die ganze Antwort besteht aus «form»."},
		final: []string{
			"Der Rechenweg darf gezeigt werden. Ende mit einer Zeile, die mit \"Antwort:\" beginnt, gefolgt von «form».",
			"Die letzte Zeile lautet \"Antwort:\", gefolgt von «form».",
		},
	},
	"es": {
		forms: map[Kind]string{
			Number: "el número", Date: "la fecha como AAAA-MM-DD", Clock: "la hora como HH:MM en formato de 24 horas", Word: "el nombre o la palabra",
			Choice: "la letra de la opción correcta",
		},
		inUnit: "el número en «unit»",
		brief:  []string{"Responde solo con «form», sin explicación.", "La respuesta entera debe ser «form»."},
		final: []string{
			"Puedes mostrar los cálculos. Termina con una línea que empiece por \"Respuesta:\" y dé «form».",
			"La última línea debe ser \"Respuesta:\" y después «form».",
		},
	},
	"zh": {
		forms: map[Kind]string{
			Number: "数字", Date: "日期（格式为YYYY-MM-DD）", Clock: "时间（24小时制HH:MM）", Word: "名称或词语", Choice: "正确选项的字母",
		},
		inUnit: "数字（单位为«unit»）",
		brief:  []string{"只回答«form»，不要解释。", "整个回复只包含«form»。"},
		final:  []string{"可以写出过程。最后一行以“答案：”开头，后面写«form»。", "最后一行必须是“答案：”加上«form»。"},
	},
}
