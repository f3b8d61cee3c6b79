package exam

// Spanish texts of the families that exist in several languages.

var unitsSpanish = unitsText{
	start:  []string{"«who» empieza el día con «amount» de material.", "En el almacén de «who» hay «amount» de material."},
	add:    []string{"Después llegan «amount» más.", "Se añade una entrega de «amount»."},
	remove: []string{"Luego se reparten «amount».", "Un cliente se lleva «amount»."},
	times:  []string{"Entonces las existencias pasan a ser «n» veces las de antes.", "Con una gran compra, las existencias quedan en «n» veces lo que había."},
	share:  []string{"Entonces las existencias se dividen en «n» partes iguales y solo queda una parte.", "Se reparten por igual entre «n» sedes y «who» conserva la parte de una sede."},
}

var unitsSkeletonsSpanish = []string{
	"«story»\n\n¿Cuánto queda al final, en «unit»?",
	"Por favor, revisa las existencias. «story» ¿Cuál es la cantidad final en «unit»?",
	"«story» Para el informe hacen falta las existencias finales en «unit».",
	"Esto ha ocurrido hoy: «story»\nIndica la cantidad restante en «unit».",
	"¿Puedes calcular las existencias? «story» Se busca lo que queda, en «unit».",
}

var percentSpanish = percentText{
	start:     []string{"«who» encarga equipos con un precio de lista de «amount».", "La oferta para «who» parte de «amount»."},
	discount:  []string{"El precio de ese momento baja un «n» por ciento.", "Se descuenta un «n» % del precio actual."},
	surcharge: []string{"Al precio actual se le suma un impuesto del «n» %.", "El precio de ese momento sube un «n» por ciento."},
	coupon:    []string{"Se resta un vale de «n».", "Por cortesía se restan «n»."},
	fee:       []string{"Se añade una tasa de gestión de «n».", "El envío añade «n»."},
}

var percentSkeletonsSpanish = []string{
	"«story» Los pasos se aplican en este orden. ¿Cuánto hay que pagar en EUR? Redondea solo el resultado a dos decimales.",
	"Por favor, comprueba la factura en el orden indicado. «story»\n¿Cuál es el importe final en EUR, redondeado solo al final a dos decimales?",
	"«story»\n\nCalcula el precio final en EUR en este orden; se redondea solo el resultado, a dos decimales.",
	"No consigo reproducir este precio y el orden importa. «story» ¿Qué importe final en EUR obtienes (dos decimales, redondeo al final)?",
	"¿Cuánto se debe en EUR? «story» Paso a paso, redondeando únicamente el resultado a dos decimales.",
}

var travelSpanish = travelText{
	start:    []string{"«who» sale a las «time».", "A las «time» «who» deja el depósito."},
	leg:      []string{"Luego «who» conduce «n» minutos a «v» km/h.", "Durante «n» minutos la velocidad es de «v» km/h."},
	rest:     []string{"Después «who» descansa «n» minutos.", "Una barrera cerrada cuesta «n» minutos parado."},
	distance: []string{"¿Qué distancia se recorre en total, en «unit»?", "¿Cuánto recorre «who» en total, en «unit»?"},
	arrival:  []string{"¿A qué hora termina el viaje?", "¿A qué hora llega «who»?"},
}

var travelSkeletonsSpanish = []string{
	"«story»\n\n«ask»",
	"Por favor, revisa este parte de viaje. «story» «ask»",
	"Diario de ruta: «story»\n«ask»",
	"Para la nota de gastos falta un dato. «story» «ask»",
	"«ask» Esto es lo que se sabe: «story»",
}

var datesSpanish = datesText{
	months:   []string{"enero", "febrero", "marzo", "abril", "mayo", "junio", "julio", "agosto", "septiembre", "octubre", "noviembre", "diciembre"},
	weekdays: []string{"domingo", "lunes", "martes", "miércoles", "jueves", "viernes", "sábado"},
	layout:   "«day» de «month» de «year»",
	start:    []string{"«who» firma el contrato el «date».", "El proyecto de «who» empieza el «date»."},
	days:     []string{"El paso siguiente es «n» días más tarde.", "El hito siguiente llega tras «n» días."},
	weeks:    []string{"El paso siguiente es «n» semanas más tarde.", "Pasan «n» semanas completas hasta el hito siguiente."},
	back:     []string{"Esa fecha se adelanta «n» días, es decir, pasa a ser anterior.", "De común acuerdo, ese paso se hace «n» días antes."},
	weekday:  []string{"El paso siguiente es el primer «day» posterior a esa fecha, nunca el mismo día.", "De ahí se pasa al próximo «day», nunca el mismo día."},
	askDate:  []string{"¿Qué fecha resulta al final?", "¿En qué fecha termina?"},
	askDay:   []string{"¿En qué día de la semana termina?", "¿Qué día de la semana resulta al final?"},
}

var datesSkeletonsSpanish = []string{
	"«story»\n\n«ask»",
	"Por favor, revisa el calendario. «story» «ask»",
	"Calendario gregoriano; el día inicial no se cuenta. «story» «ask»",
	"«ask» Contexto: «story»",
	"Tenemos que reservar una sala. «story»\n«ask»",
}

var zonesSpanish = zonesText{
	start: []string{"El paquete «who» sale de «place» («zone») a las «time», hora local.", "A las «time», hora local, el paquete «who» parte de «place» («zone»)."},
	hop:   []string{"El vuelo a «place» («zone») dura «h» h «m» min.", "Luego vuela a «place» («zone»), lo que lleva «h» h «m» min."},
	wait:  []string{"Allí espera «h» h «m» min.", "La escala dura «h» h «m» min."},
	ask:   []string{"¿Qué hora local es en «place» cuando llega?", "¿A qué hora local llega «who» a «place»?"},
}

var zonesSkeletonsSpanish = []string{
	"«story»\n\n«ask»",
	"Por favor, comprueba esta ruta. «story» «ask»",
	"Entre paréntesis está la diferencia con UTC, que no cambia. «story» «ask»",
	"«ask» Ruta: «story»",
	"Una clienta quiere saber cuándo estar allí. «story»\n«ask»",
}
