"""Topics of the qqp task: questions that people ask, each in several wordings.

The states of a topic are worded alike, so that shared words do not tell duplicates from others.
"""

from datamodules.embedded.topic import State, Topic, directed


def _asked(*questions: tuple[str, ...]) -> Topic:
    return Topic(tuple(State(wordings) for wordings in questions))


QUESTIONS = (
    _asked(
        (
            "<How can I|How do I|What is the best way to> learn {skill} at home?",
            "What <should|must> one do to pick up {skill} without leaving home?",
            "Is there a good <method|way> of studying {skill} from home?",
        ),
        (
            "<How can I|How do I|What is the best way to> teach {skill} at home?",
            "What <should|must> one do to give lessons in {skill} without leaving home?",
            "Is there a good <method|way> of instructing others in {skill} from home?",
        ),
    ),
    directed(
        "city",
        "city2",
        (
            "What is the <cheapest|least expensive> way to <travel|get> from {city} to {city2}?",
            "How do I <travel|go> from {city} to {city2} for as little money as possible?",
            "How can one <reach|get to> {city2} from {city} on a <small|tight> budget?",
        ),
    ),
    _asked(
        (
            "What is the <cheapest|least expensive> way to <travel|get> to {city}?",
            "How do I go to {city} for as little money as possible?",
            "How can one reach {city} on a <small|tight> budget?",
        ),
        (
            "What is the <fastest|quickest> way to <travel|get> to {city}?",
            "How do I go to {city} in as little time as possible?",
            "How can one reach {city} on a <short|tight> schedule?",
        ),
    ),
    _asked(
        (
            "<Why|For what reason> does my {device} <switch|turn> itself off again and again?",
            "What makes a {device} <shut|power> down without being asked?",
            "My {device} keeps turning off by itself; what is the <reason|cause>?",
        ),
        (
            "<Why|For what reason> does my {device} not <switch|turn> off when I press the button?",
            "What makes a {device} stay on although it was told to <shut|power> down?",
            "My {device} keeps running when I turn it off; what is the <reason|cause>?",
        ),
    ),
    _asked(
        (
            "What <helps|works> against {illness}?",
            "How can I <get rid of|treat> {illness}?",
            "Which remedies are <good|effective> for {illness}?",
        ),
        (
            "What <leads|may lead> to {illness}?",
            "How can I <get|catch> {illness}?",
            "Which causes are <known|typical> for {illness}?",
        ),
    ),
    _asked(
        (
            "How much <money|> does a {person} <earn|make> in {city}?",
            "What is the <average|typical> <salary|pay> of a {person} in {city}?",
            "What <income|wage> can a {person} expect in {city}?",
        ),
        (
            "How <long|many hours> does a {person} <work|stay at work> in {city}?",
            "What is the <average|typical> working day of a {person} in {city}?",
            "What <hours|working hours> can a {person} expect in {city}?",
        ),
    ),
    directed(
        "person",
        "person2",
        (
            "Why would one choose the work of a {person} over that of a {person2}?",
            "What are the <advantages|benefits> of being a {person} instead of a {person2}?",
            "Is there a reason to become a {person} rather than a {person2}?",
        ),
    ),
    _asked(
        (
            "<What can I use|What could I take> <in place of|instead of> eggs in {dish}?",
            "Which ingredient <replaces|can replace> eggs when I make {dish}?",
            "What is a good <substitute|replacement> for the eggs in {dish}?",
        ),
        (
            "<What do I get|What is the use> from putting eggs in {dish}?",
            "Which effect <comes|would come> from eggs when I make {dish}?",
            "What is a good <reason|argument> for the eggs in {dish}?",
        ),
    ),
    directed(
        "gadget",
        "gadget2",
        (
            "How do I <move|copy|transfer> photos from my {gadget} to my {gadget2}?",
            "What is the <easiest|simplest> way of getting the pictures on my {gadget} onto my "
            "{gadget2}?",
            "How can the pictures of a {gadget} be <put on|sent to> a {gadget2}?",
        ),
    ),
    _asked(
        (
            "<What is|Which is> the best <time|season> of the year to visit {city}?",
            "When should <I|a tourist> <go to|travel to> {city}?",
            "In which months is a trip to {city} most <pleasant|enjoyable>?",
        ),
        (
            "<What is|Which is> the worst <time|season> of the year to visit {city}?",
            "When should <I|a tourist> not <go to|travel to> {city}?",
            "In which months is a trip to {city} most <unpleasant|annoying>?",
        ),
    ),
    _asked(
        (
            "How many days <can|may> I keep {dish} in the fridge?",
            "For how long is it <safe|wise> to store {dish} in a refrigerator?",
            "When is it time to throw {dish} from the fridge away?",
        ),
        (
            "How <can|may> I make {dish} without a fridge?",
            "In what way is it <possible|easy> to prepare {dish} with no refrigerator?",
            "What is a recipe for {dish} that does not need a fridge?",
        ),
    ),
    _asked(
        (
            "How do I <sell|get money for> my old {device}?",
            "Who would <buy|pay for> a used {device} of mine?",
            "Where can I <find a buyer for|offer> a second-hand {device}?",
        ),
        (
            "How do I <fix|repair> my old {device}?",
            "Who would <mend|restore> a used {device} of mine?",
            "Where can I <have someone fix|make someone mend> a second-hand {device}?",
        ),
    ),
    _asked(
        (
            "How does one become a {person} in {city}?",
            "What is needed to start a career as a {person} in {city}?",
            "Which steps lead to work as a {person} in {city}?",
        ),
        (
            "How does one hire a {person} in {city}?",
            "What is needed to find and employ a {person} in {city}?",
            "Which steps lead to a contract with a {person} in {city}?",
        ),
    ),
    directed(
        "skill",
        "skill2",
        (
            "Is {skill} harder to learn than {skill2}?",
            "Does it take more effort to learn {skill} than {skill2}?",
            "Do beginners find {skill2} easier than {skill}?",
        ),
    ),
)

UNSEEN_QUESTIONS = (
    _asked(
        (
            "How do I <know|find out> whether a used {device} is worth <its price|the money>?",
            "What should I check before I <buy|pay for> a second-hand {device}?",
            "What do I have to look at when buying a {device} that is not new?",
        ),
        (
            "How do I <clean|wash> a used {device} without doing <it harm|any damage>?",
            "What should I use to get the dirt <off|out of> a second-hand {device}?",
            "What do I have to look at when cleaning a {device} that is not new?",
        ),
    ),
    directed(
        "city",
        "city2",
        (
            "Is a {person} from {city} allowed to work in {city2}?",
            "Can someone from {city} take a job as a {person} in {city2}?",
            "Does {city2} let a {person} who comes from {city} work there?",
        ),
    ),
    _asked(
        (
            "How do I stop <being afraid of|fearing> the exam in {skill}?",
            "What helps against my fear before a test in {skill}?",
            "What can I do to stay calm in an exam in {skill}?",
        ),
        (
            "How do I start <studying|preparing> for the exam in {skill}?",
            "What helps to know more before a test in {skill}?",
            "What can I do to get good marks in an exam in {skill}?",
        ),
    ),
)
