package exam

// Tables of names and words. None is a word that a question gives a meaning to.

var names = []string{
	"Adaeze", "Aino", "Aleksei", "Amara", "Anselm", "Arjun", "Astrid", "Beatriz", "Bogdan", "Camille", "Chidi", "Cosima",
	"Dalia", "Davor", "Edda", "Emeka", "Farida", "Fintan", "Giulia", "Goran", "Hana", "Henrik", "Ilse", "Imran",
	"Ingrid", "Jarek", "Jolanda", "Kaito", "Katya", "Lamar", "Leilani", "Lorenz", "Magda", "Malik", "Mirela", "Nadia",
	"Nkechi", "Oskar", "Petra", "Priya", "Quentin", "Rafael", "Renske", "Samira", "Sibylle", "Soren", "Tamsin", "Tariq",
	"Ulla", "Vesna", "Viktor", "Wanda", "Xenia", "Yannick", "Yusuf", "Zelda", "Zoran", "Benedikt", "Clara", "Dmitri",
}

// colleagues are the names in asides and wrappers: never those of anybody a question is about.
var colleagues = []string{"Agnes", "Bruno", "Carla", "Dieter", "Elena", "Felix", "Greta", "Hugo", "Irena", "Jonas", "Lidia", "Marco", "Nora", "Otto", "Paula", "Simon"}

var (
	placeHeads = []string{"Alder", "Birken", "Corvel", "Dunmar", "Elsing", "Farrow", "Grims", "Halver", "Ister", "Jarn", "Kelde", "Lorn", "Morrin", "Nether", "Ostra", "Pelham", "Quarn", "Rossel", "Silver", "Tarn", "Ulver", "Vester", "Wexel", "Yarrow"}
	placeTails = []string{"by", "dale", "fell", "ford", "gate", "ham", "haven", "holm", "mere", "moor", "port", "stead", "ton", "wick"}
	plainWords = []string{
		"amber", "anchor", "basket", "candle", "copper", "cotton", "dragon", "engine", "fabric", "garden", "hammer", "island",
		"jacket", "kernel", "ladder", "magnet", "needle", "orange", "pepper", "quarry", "ribbon", "saddle", "timber", "umbrella",
		"velvet", "window", "yellow", "zipper", "planet", "silver", "tunnel", "violin", "walnut", "marble", "lantern", "harvest",
		"bridge", "castle", "falcon", "glacier", "meadow", "pebble", "rocket", "spiral", "thunder", "voyage", "whistle", "blanket",
	}
	regions = []string{"North", "South", "East", "West", "Centre", "Coast"}
)

// asides are sentences that have nothing to do with any question, by language.
var asides = map[string][]string{
	"en": {
		"«who» has moved to a desk on floor «n».", "The coffee machine near room «n» is out of order again.", "By the way, «who» found an umbrella in the car park.",
		"The newsletter had «n» readers last time.", "«who» would like the window seat in the canteen.", "A new poster hangs beside lift «n».",
		"«who» has been learning the cello for some years.", "The printer still has «n» sheets in the tray.", "Somebody left a blue scarf with «who».",
		"The old handbook had «n» pages and no index.", "«who» says the plants need less water.", "Locker «n» has been painted green.",
	},
	"de": {
		"«who» sitzt jetzt im Stockwerk «n».", "Die Kaffeemaschine bei Raum «n» ist wieder kaputt.", "Übrigens hat «who» einen Regenschirm gefunden.",
		"Das alte Handbuch hatte «n» Seiten.", "«who» lernt seit Jahren Cello.", "Schließfach «n» ist neu gestrichen.",
		"Im Drucker liegen noch «n» Blatt Papier.", "«who» meint, die Pflanzen brauchen weniger Wasser.",
	},
	"es": {
		"«who» trabaja ahora en la planta «n».", "La cafetera de la sala «n» está otra vez averiada.", "Por cierto, «who» encontró un paraguas.",
		"El manual antiguo tenía «n» páginas.", "«who» estudia violonchelo desde hace años.", "La taquilla «n» está recién pintada.",
		"En la impresora quedan «n» hojas.", "«who» dice que las plantas necesitan menos agua.",
	},
	"zh": {
		"«who»现在在«n»楼办公。", "«n»号房间旁边的咖啡机又坏了。", "顺便说一下，«who»捡到了一把雨伞。", "旧手册有«n»页。",
		"«who»学大提琴已经好几年了。", "«n»号储物柜刚刷过漆。", "打印机里还有«n»张纸。", "«who»说植物不需要那么多水。",
	},
}
