"""The fillers of the embedded sentences, in the parts that keep evaluation apart from training."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Pool:
    """Fillers of one kind, comma-separated.

    `held_out` occurs in validation and test only, `mismatched` in the mismatched splits of mnli
    only; a kind without `mismatched` fillers shows its held-out ones there.
    """

    train: str
    held_out: str
    mismatched: str = ""

    def part(self, name: str) -> tuple[str, ...]:
        """The fillers of the part `name`: train, held_out or mismatched."""
        text: str = getattr(self, name) or self.held_out
        return tuple(word.strip() for word in text.split(","))


POOLS: dict[str, Pool] = {
    "woman": Pool(
        "Anna, Maria, Clara, Helen, Julia, Laura, Nina, Olga, Paula, Rosa, Sarah, Teresa, Alice, "
        "Emma, Irene, Jane, Kate, Linda, Monica, Nora, Susan, Diana, Ellen, Grace",
        "Beatrice, Fiona, Hannah, Ingrid, Joan, Lucy, Martha, Priya, Rachel, Sofia, Vera, Zoe",
        "Amina, Brigitte, Chloe, Doris, Esther, Yuki, Leila, Tanya",
    ),
    "man": Pool(
        "Adam, Brian, Carl, David, Eric, Frank, George, Henry, Ivan, James, Kevin, Louis, Martin, "
        "Oscar, Paul, Robert, Simon, Thomas, Victor, Walter, Peter, Daniel, Hugo, Felix",
        "Albert, Conrad, Dennis, Edgar, Gordon, Harold, Isaac, Julian, Leonard, Marcus, Omar, Ravi",
        "Ahmed, Boris, Kenji, Mateo, Pierre, Stefan, Hamid, Otto",
    ),
    "surname": Pool(
        "Adler, Barlow, Corbett, Dalton, Ellison, Farrell, Garland, Holloway, Ingram, Jarvis, "
        "Kendall, Lockhart, Merrick, Norwood, Osborne, Prescott, Quigley, Ramsey, Sheldon, Thorne",
        "Ashford, Blackwell, Cromer, Drayton, Everett, Fenwick, Granger, Hartley, Langley, "
        "Whitaker",
    ),
    "person": Pool(
        "doctor, teacher, lawyer, baker, driver, nurse, farmer, student, writer, painter, manager, "
        "soldier, singer, tailor, waiter, guard, miner, porter, plumber, carpenter, reporter, "
        "clerk, gardener, barber, librarian, cook, banker, fisher, mayor, coach",
        "surgeon, dentist, electrician, architect, butcher, senator, detective, violinist, "
        "mechanic, pharmacist, professor, trainer, journalist, accountant, referee",
        "sailor, captain, astronaut, drummer, biologist, chemist, monk, pirate, dancer, diver",
    ),
    "mood": Pool(
        "tired, happy, nervous, angry, proud, hungry, quiet, polite, careful, curious, busy, calm, "
        "lazy, brave, friendly, worried, patient, honest",
        "anxious, cheerful, grumpy, confident, stubborn, sleepy, clever, jealous, gentle",
        "seasick, fearless, absent-minded, restless, homesick, weary",
    ),
    "verb": Pool(
        "praise, thank, interview, follow, greet, insult, visit, assist, hire, blame, invite, "
        "warn, admire, criticize, ignore, contact, trust, annoy, reward, watch",
        "congratulate, escort, supervise, tease, challenge, imitate, comfort, mock, accuse, scold",
        "salute, rescue, betray, outwit, capture, applaud",
    ),
    "act": Pool(
        "laugh, complain, smile, yawn, whisper, work, rest, shout, wait, cough, frown, listen",
        "giggle, sneeze, hesitate, stumble, argue, vanish, faint",
        "pray, float, drown, shiver, dance, snore",
    ),
    "thing": Pool(
        "book, lamp, chair, letter, jacket, basket, mirror, bottle, camera, blanket, hammer, "
        "ticket, bicycle, carpet, guitar, hat, kettle, ladder, map, notebook, pillow, plate, "
        "radio, ring, suitcase, table, vase",
        "bracelet, candle, clock, drum, helmet, lantern, necklace, parcel, saddle, sofa, teapot, "
        "towel, wallet, violin",
        "anchor, compass, telescope, microscope, flute, sail, rope, globe",
    ),
    "color": Pool(
        "red, blue, green, yellow, black, white, brown, gray",
        "purple, orange, pink, golden",
    ),
    "size": Pool("big, small, large, tiny, long, huge", "enormous, mini, massive, narrow"),
    "venue": Pool(
        "library, office, hotel, station, museum, restaurant, school, theater, market, garden, "
        "church, bakery, factory, hospital, shop, bank",
        "airport, gallery, bookstore, stadium, warehouse, courthouse, pharmacy, cinema, clinic",
        "harbor, laboratory, lighthouse, monastery, cave, submarine, observatory",
    ),
    "city": Pool(
        "Lisbon, Vienna, Chicago, Dublin, Madrid, Toronto, Oslo, Prague, Boston, Cairo, Athens, "
        "Denver, Warsaw, Sydney, Seoul, Milan, Geneva, Dallas, Berlin, Havana",
        "Helsinki, Seattle, Budapest, Montreal, Nairobi, Lima, Glasgow, Hamburg, Osaka, Zurich",
        "Reykjavik, Casablanca, Samarkand, Honolulu, Zanzibar, Kathmandu",
    ),
    "company": Pool(
        "Redwood Foods, Liberty Bank, Summit Airlines, Crescent Motors, Pioneer Steel, "
        "Atlas Energy, Silverline Media, Orchard Software, Beacon Insurance, Granite Mining, "
        "Meadow Dairy, Falcon Logistics, Coral Shipping, Maple Telecom",
        "Northstar Chemicals, Bluebird Toys, Ironbridge Capital, Sunrise Textiles, Cobalt Systems, "
        "Willow Cosmetics, Evergreen Paper, Phoenix Robotics",
    ),
    "day": Pool("Monday, Tuesday, Wednesday, Friday", "Thursday, Saturday, Sunday"),
    "month": Pool(
        "January, February, March, June, August, October, November", "April, July, September"
    ),
    "year": Pool(
        ", ".join(str(year) for year in range(1851, 2010, 3)),
        ", ".join(str(year) for year in range(1852, 2010, 6)),
    ),
    "number": Pool(
        ", ".join(str(number) for number in range(12, 98, 2)),
        ", ".join(str(number) for number in range(13, 98, 4)),
    ),
    "low": Pool("two, three, four", "five, six"),
    "mid": Pool("nine, ten, eleven, twelve", "thirteen, fourteen, fifteen"),
    "high": Pool("thirty, forty, fifty, sixty", "seventy, eighty, ninety"),
    "skill": Pool(
        "Spanish, chess, the piano, photography, cooking, algebra, drawing, swimming, French, "
        "Python, knitting, chemistry, English, yoga",
        "the cello, calligraphy, statistics, Japanese, pottery, archery, woodworking, surfing",
    ),
    "illness": Pool(
        "a cold, a headache, back pain, insomnia, a sore throat, the flu, a toothache",
        "hay fever, a migraine, heartburn, a sprained ankle",
    ),
    "device": Pool(
        "laptop, phone, printer, tablet, router, keyboard, dishwasher, television",
        "webcam, freezer, smartwatch, scanner, dryer",
    ),
    "gadget": Pool("laptop, phone, tablet, camera, television", "webcam, smartwatch, e-reader"),
    "dish": Pool(
        "bread, pancakes, muffins, noodles, pie, lasagna, cheesecake, meatloaf, cookies",
        "dumplings, waffles, meatballs, brownies, ravioli",
    ),
}
